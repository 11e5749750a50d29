rule embed:
    input:
        features=f"{RESULTS}/runs/{{dataset}}/{{split}}/{{recipe}}/{{label}}/seed{{seed}}/features.npy",
        split=f"{RESULTS}/splits/{{dataset}}/{{split}}/seed{{seed}}.parquet",
        reference=f"{RESULTS}/data/{{dataset}}/reference.parquet",
    output:
        embedding=f"{RESULTS}/studies/{{study}}/tsne/{{dataset}}-{{split}}-{{recipe}}-{{label}}-seed{{seed}}.parquet",
        manifest=f"{RESULTS}/studies/{{study}}/tsne/{{dataset}}-{{split}}-{{recipe}}-{{label}}-seed{{seed}}.manifest.json",
    log:
        f"{RESULTS}/logs/studies/{{study}}/tsne/{{dataset}}-{{split}}-{{recipe}}-{{label}}-seed{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/studies/{{study}}/tsne/{{dataset}}-{{split}}-{{recipe}}-{{label}}-seed{{seed}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        config=lambda wc: plan.json("embed", study=wc.study),
        code=lambda wc: plan.code("embed", study=wc.study),
    message:
        "Embedding the test features of {wildcards.recipe} on the {wildcards.label} labels of {wildcards.dataset}"
    shell:
        'PYTHONPATH="$SOFTLABELS_PATH" python -Pm softlabels embed --config {params.config:q}'
        " --features {input.features:q} --split {input.split:q} --reference {input.reference:q}"
        " --embedding {output.embedding:q} --manifest {output.manifest:q} >{log:q} 2>&1"
