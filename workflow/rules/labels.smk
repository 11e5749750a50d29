rule split:
    input:
        item_table=f"{RESULTS}/data/{{dataset}}/items.parquet",
        reference=f"{RESULTS}/data/{{dataset}}/reference.parquet",
    output:
        split=f"{RESULTS}/splits/{{dataset}}/{{split}}/seed{{seed}}.parquet",
        manifest=f"{RESULTS}/splits/{{dataset}}/{{split}}/seed{{seed}}.manifest.json",
    log:
        f"{RESULTS}/logs/splits/{{dataset}}/{{split}}/seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/splits/{{dataset}}/{{split}}/seed{{seed}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=growing(2000),
        runtime=growing(5),
    params:
        config=lambda wc: plan.json("split", **wc),
        code=lambda wc: plan.code("split", **wc),
    message:
        "Splitting {wildcards.dataset} with seed {wildcards.seed}"
    shell:
        'PYTHONPATH="$SOFTLABELS_PATH" python -Pm softlabels split --config {params.config:q}'
        " --items {input.item_table:q} --reference {input.reference:q}"
        " --split {output.split:q} --manifest {output.manifest:q} >{log:q} 2>&1"


rule label:
    input:
        annotations=f"{RESULTS}/data/{{dataset}}/annotations.parquet",
        reference=f"{RESULTS}/data/{{dataset}}/reference.parquet",
    output:
        labels=f"{RESULTS}/labels/{{dataset}}/{{label}}/{{draw}}.parquet",
        manifest=f"{RESULTS}/labels/{{dataset}}/{{label}}/{{draw}}.manifest.json",
    log:
        f"{RESULTS}/logs/labels/{{dataset}}/{{label}}/{{draw}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/labels/{{dataset}}/{{label}}/{{draw}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=growing(2000),
        runtime=growing(5),
    params:
        config=lambda wc: plan.json("label", **wc),
        code=lambda wc: plan.code("label", **wc),
    message:
        "Making the labels {wildcards.label} of {wildcards.dataset}"
    shell:
        'PYTHONPATH="$SOFTLABELS_PATH" python -Pm softlabels label --config {params.config:q}'
        " --annotations {input.annotations:q} --reference {input.reference:q}"
        " --labels {output.labels:q} --manifest {output.manifest:q} >{log:q} 2>&1"
