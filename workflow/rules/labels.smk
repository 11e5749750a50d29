rule split:
    input:
        item_table=place("data", "items"),
        reference=place("data", "reference"),
    output:
        **outputs("split"),
    log:
        log_of("split"),
    benchmark:
        benchmark_of("split")
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        **resources("split"),
    params:
        **tracked("split"),
    message:
        "Splitting {wildcards.dataset} with seed {wildcards.seed}"
    shell:
        call("split")


rule label:
    input:
        unpack(lambda wc: {key(name): files for name, files in plan.label_inputs(**wc).items()}),
        annotations=place("data", "annotations"),
        reference=place("data", "reference"),
    output:
        **outputs("label"),
    log:
        log_of("label"),
    benchmark:
        benchmark_of("label")
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        **resources("label"),
    params:
        **tracked("label"),
    message:
        "Making the labels {wildcards.label} of {wildcards.dataset}: {wildcards.draw}"
    shell:
        call("label")
