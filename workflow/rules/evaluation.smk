rule evaluate:
    input:
        unpack(signed(lambda wc: plan.predicted(**wc))),
        reference=place("data", "reference"),
        annotations=place("data", "annotations"),
        split=place("split", "split"),
        item_table=place("data", "items"),
        label=labels_of,
    output:
        **outputs("evaluate"),
    log:
        log_of("evaluate"),
    benchmark:
        benchmark_of("evaluate")
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        **resources("evaluate"),
    params:
        **tracked("evaluate"),
    message:
        "Evaluating {wildcards.recipe}, {wildcards.label} labels of {wildcards.dataset}, seed {wildcards.seed}: {wildcards.metrics}"
    shell:
        call("evaluate")


rule references:
    input:
        reference=place("data", "reference"),
        annotations=place("data", "annotations"),
        split=place("split", "split"),
    output:
        **outputs("references"),
    log:
        log_of("references"),
    benchmark:
        benchmark_of("references")
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        **resources("references"),
    params:
        **tracked("references"),
    message:
        "Scoring the reference rows of {wildcards.dataset}, seed {wildcards.seed}: {wildcards.metrics}"
    shell:
        call("references")
