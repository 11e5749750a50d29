rule download:
    output:
        plan.downloads,
    log:
        f"{RESULTS}/logs/downloads/{{file}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/downloads/{{file}}.tsv"
    wildcard_constraints:
        file="|".join(map(re.escape, FILES)),
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        gpu=0,
    params:
        # No code=: a published file is fetched once, whatever happens to the code.
        config=lambda wc: plan.json("download", file=wc.file),
    message:
        "Fetching {wildcards.file}"
    shell:
        'PYTHONPATH="$SOFTLABELS_PATH" python -Pm softlabels download --config {params.config:q}'
        " --file {output:q} >{log:q} 2>&1"


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
        "../../envs/train.yaml"
    threads: lambda wc: plan.data_threads(wc.dataset)
    resources:
        gpu=0,
        mem_mb=growing(8000),
        runtime=growing(120),
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
        " --reference {output.reference:q} --threads {threads} --manifest {output.manifest:q} >{log:q} 2>&1"


rule card:
    input:
        images=f"{RESULTS}/data/{{dataset}}/images.npy",
        item_table=f"{RESULTS}/data/{{dataset}}/items.parquet",
        annotations=f"{RESULTS}/data/{{dataset}}/annotations.parquet",
        reference=f"{RESULTS}/data/{{dataset}}/reference.parquet",
        splits=lambda wc: plan.split_files_of(wc.dataset),
    output:
        markdown=report(
            f"{RESULTS}/data/{{dataset}}/card.md",
            category="Data",
            caption="../report/card.rst",
            labels={"data set": "{dataset}", "shows": "data card"},
        ),
        json=f"{RESULTS}/data/{{dataset}}/card.json",
        sheet=report(
            f"{RESULTS}/data/{{dataset}}/card-images.png",
            category="Data",
            caption="../report/card.rst",
            labels={"data set": "{dataset}", "shows": "clear and ambiguous images"},
        ),
        votes=report(
            f"{RESULTS}/data/{{dataset}}/card-votes.png",
            category="Data",
            caption="../report/card.rst",
            labels={"data set": "{dataset}", "shows": "votes, entropy, agreement"},
        ),
        manifest=f"{RESULTS}/data/{{dataset}}/card.manifest.json",
    log:
        f"{RESULTS}/logs/cards/{{dataset}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/cards/{{dataset}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=growing(2000),
        runtime=growing(15),
    params:
        config=lambda wc: plan.json("card", dataset=wc.dataset),
        code=lambda wc: plan.code("card", dataset=wc.dataset),
    message:
        "Describing the data set {wildcards.dataset}"
    shell:
        'PYTHONPATH="$SOFTLABELS_PATH" python -Pm softlabels card'
        " --config @<(printf '%s\\n' {params.config:q}) --images {input.images:q}"
        " --items {input.item_table:q} --annotations {input.annotations:q}"
        " --reference {input.reference:q} --splits @<(printf '%s\\n' {input.splits:q})"
        " --card-md {output.markdown:q} --card-json {output.json:q} --sheet {output.sheet:q}"
        " --votes {output.votes:q} --manifest {output.manifest:q} >{log:q} 2>&1"
