rule train:
    input:
        images=place("data", "images"),
        item_table=place("data", "items"),
        split=place("split", "split"),
        labels=labels_of,
        reference=place("data", "reference"),
        weights=lambda wc: plan.weights(wc.recipe),
    output:
        **outputs("train"),
    log:
        log_of("train"),
    benchmark:
        benchmark_of("train")
    conda:
        "../../envs/train.yaml"
    threads: lambda wc: plan.config["recipes"][wc.recipe]["threads"]
    resources:
        **resources("train", gpu=lambda wc: int(plan.config["recipes"][wc.recipe]["device"] == "cuda")),
    params:
        **tracked("train"),
    message:
        "Training {wildcards.recipe} on the {wildcards.label} labels of {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        call("train")
