rule data:
    input:
        unpack(lambda wc: plan.data_inputs(wc.dataset)),
    output:
        images=f"{RESULTS}/data/{{dataset}}/images.npy",
        item_table=f"{RESULTS}/data/{{dataset}}/items.parquet",
        annotations=f"{RESULTS}/data/{{dataset}}/annotations.parquet",
        reference=f"{RESULTS}/data/{{dataset}}/reference.parquet",
        manifest=f"{RESULTS}/data/{{dataset}}/images.manifest.json",
    log:
        f"{RESULTS}/logs/data/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/data/{{dataset}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        gpu=0,
    params:
        config=lambda wc: plan.json("data", dataset=wc.dataset),
        code=lambda wc: plan.code("data", dataset=wc.dataset),
        # Where the sources lie is not tracked (it names `input`): moving them changes no result.
        sources=lambda wc, input: plan.data_options(wc.dataset),
    message:
        "Making the data set {wildcards.dataset}"
    shell:
        'PYTHONPATH="$SOFTLABELS_PATH" python -Pm softlabels data --config {params.config:q} {params.sources}'
        " --images {output.images:q} --items {output.item_table:q} --annotations {output.annotations:q}"
        " --reference {output.reference:q} --manifest {output.manifest:q} >{log:q} 2>&1"
