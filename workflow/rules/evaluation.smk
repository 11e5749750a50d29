rule evaluate:
    input:
        predictions=f"{RESULTS}/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/predictions.parquet",
        features=f"{RESULTS}/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/features.npy",
        reference=f"{RESULTS}/data/{{dataset}}/reference.parquet",
        split=f"{RESULTS}/splits/{{dataset}}/{{split}}/seed{{seed}}.parquet",
        item_table=f"{RESULTS}/data/{{dataset}}/items.parquet",
        label=f"{RESULTS}/labels/{{dataset}}/{{label}}/all.parquet",
    output:
        scores=f"{RESULTS}/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/scores/{{metrics}}.parquet",
        manifest=f"{RESULTS}/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/scores/{{metrics}}.manifest.json",
    log:
        f"{RESULTS}/logs/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/scores/{{metrics}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/scores/{{metrics}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        config=lambda wc: plan.json("evaluate", **wc),
        code=lambda wc: plan.code("evaluate", **wc),
    message:
        "Evaluating {wildcards.recipe} on the {wildcards.label} labels of {wildcards.dataset}, seed {wildcards.seed}: {wildcards.metrics}"
    shell:
        'PYTHONPATH="$SOFTLABELS_PATH" python -Pm softlabels evaluate --config {params.config:q}'
        " --predictions {input.predictions:q} --features {input.features:q} --reference {input.reference:q}"
        " --split {input.split:q} --items {input.item_table:q} --label {input.label:q}"
        " --scores {output.scores:q} --manifest {output.manifest:q} >{log:q} 2>&1"


rule references:
    input:
        reference=f"{RESULTS}/data/{{dataset}}/reference.parquet",
        split=f"{RESULTS}/splits/{{dataset}}/{{split}}/seed{{seed}}.parquet",
    output:
        references=f"{RESULTS}/references/{{dataset}}/{{split}}/seed{{seed}}/{{metrics}}.parquet",
        manifest=f"{RESULTS}/references/{{dataset}}/{{split}}/seed{{seed}}/{{metrics}}.manifest.json",
    log:
        f"{RESULTS}/logs/references/{{dataset}}/{{split}}/seed{{seed}}/{{metrics}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/references/{{dataset}}/{{split}}/seed{{seed}}/{{metrics}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=growing(2000),
        runtime=growing(5),
    params:
        config=lambda wc: plan.json("references", **wc),
        code=lambda wc: plan.code("references", **wc),
    message:
        "Scoring the reference rows of {wildcards.dataset}, seed {wildcards.seed}: {wildcards.metrics}"
    shell:
        'PYTHONPATH="$SOFTLABELS_PATH" python -Pm softlabels references --config {params.config:q}'
        " --reference {input.reference:q} --split {input.split:q}"
        " --references {output.references:q} --manifest {output.manifest:q} >{log:q} 2>&1"
