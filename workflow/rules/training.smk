rule train:
    input:
        images=place("data", "images"),
        item_table=place("data", "items"),
        split=place("split", "split"),
        labels=labels_of,
        reference=place("data", "reference"),
        weights=signed(lambda wc: plan.weights(wc.recipe)),
    output:
        **outputs("train"),
    log:
        log_of("train"),
    benchmark:
        benchmark_of("train")
    conda:
        "../../envs/train.yaml"
    threads: signed(lambda wc: plan.config["recipes"][wc.recipe]["threads"])
    resources:
        **resources("train", gpu=signed(lambda wc: int(plan.config["recipes"][wc.recipe]["device"] == "cuda"))),
    params:
        **tracked("train"),
    message:
        "Training {wildcards.recipe} on the {wildcards.label} labels of {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        call("train")


rule adopt:
    input:
        unpack(lambda wc: plan.adopted(wc.recipe, wc.label, wc.seed)),
        item_table=place("data", "items"),
        reference=place("data", "reference"),
        split=place("split", "split"),
    output:
        **outputs("adopt"),
    log:
        log_of("adopt"),
    benchmark:
        benchmark_of("adopt")
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        **resources("adopt"),
    params:
        **tracked("adopt"),
    message:
        "Reading the predictions of {wildcards.recipe} for {wildcards.label} labels of {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        call("adopt")


rule encode:
    input:
        images=place("data", "images"),
        weights=lambda wc: plan.weights(plan.recipe_of(wc.encoder)),
    output:
        **outputs("encode"),
    log:
        log_of("encode"),
    benchmark:
        benchmark_of("encode")
    conda:
        "../../envs/train.yaml"
    threads: lambda wc: plan.asks("encode", wc)[0]
    resources:
        **resources("encode", gpu=lambda wc: int(plan.asks("encode", wc)[1])),
    params:
        **tracked("encode"),
    message:
        "Computing the features of {wildcards.dataset} by {wildcards.encoder}"
    shell:
        call("encode")


rule fit:
    input:
        unpack(lambda wc: plan.encoded(wc.dataset, wc.recipe)),
        item_table=place("data", "items"),
        split=place("split", "split"),
        labels=labels_of,
        reference=place("data", "reference"),
    output:
        **outputs("fit"),
    log:
        log_of("fit"),
    benchmark:
        benchmark_of("fit")
    conda:
        "../../envs/train.yaml"
    threads: 1
    resources:
        **resources("fit"),
    params:
        **tracked("fit"),
    message:
        "Fitting heads of {wildcards.recipe} on the {wildcards.label} labels of {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        call("fit")
