rule embed:
    input:
        features=place("train", "features"),
        split=place("split", "split"),
        reference=place("data", "reference"),
    output:
        **outputs("embed"),
    log:
        log_of("embed"),
    benchmark:
        benchmark_of("embed")
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        **resources("embed"),
    params:
        **tracked("embed"),
    message:
        "Embedding the test features of {wildcards.recipe} on the {wildcards.label} labels of {wildcards.dataset}"
    shell:
        call("embed")
