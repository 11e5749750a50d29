rule train:
    input:
        images=f"{RESULTS}/data/{{dataset}}/images.npy",
        split=f"{RESULTS}/splits/{{dataset}}/{{split}}/seed{{seed}}.parquet",
        labels=f"{RESULTS}/labels/{{dataset}}/{{label}}/all.parquet",
        reference=f"{RESULTS}/data/{{dataset}}/reference.parquet",
        weights=lambda wc: plan.weights(wc.recipe),
    output:
        model=f"{RESULTS}/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/model.safetensors",
        history=f"{RESULTS}/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/history.parquet",
        predictions=f"{RESULTS}/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/predictions.parquet",
        features=f"{RESULTS}/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/features.npy",
        manifest=f"{RESULTS}/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/model.manifest.json",
    log:
        f"{RESULTS}/logs/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/train.log",
    benchmark:
        f"{RESULTS}/benchmarks/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/train.tsv"
    conda:
        "../../envs/train.yaml"
    threads: lambda wc: plan.config["recipes"][wc.recipe]["threads"]
    resources:
        gpu=lambda wc: int(plan.config["recipes"][wc.recipe]["device"] == "cuda"),
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        config=lambda wc: plan.json("train", **wc),
        code=lambda wc: plan.code("train", **wc),
    message:
        "Training {wildcards.recipe} on the {wildcards.label} labels of {wildcards.dataset}, seed {wildcards.seed}"
    shell:
        # exec: a shell in between would die of the signal that asks the training to save its state, and what waits
        # for the shell would end the job before the state is saved.
        'PYTHONPATH="$SOFTLABELS_PATH" exec python -Pm softlabels train --config {params.config:q}'
        " --images {input.images:q} --split {input.split:q} --labels {input.labels:q}"
        " --reference {input.reference:q} --weights {input.weights:q} --model {output.model:q}"
        " --history {output.history:q} --predictions {output.predictions:q} --features {output.features:q}"
        " --manifest {output.manifest:q} >{log:q} 2>&1"
