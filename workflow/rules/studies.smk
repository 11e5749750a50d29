# What grows with the grid reaches its command as @<(printf …): to bash's own printf no line is too long.


rule study:
    input:
        scores=lambda wc: plan.score_files(wc.study),
        predictions=lambda wc: plan.run_files(wc.study, "predictions.parquet"),
        references=lambda wc: plan.reference_files(wc.study),
        item_table=lambda wc: plan.data_files(wc.study, "items.parquet"),
        reference=lambda wc: plan.data_files(wc.study, "reference.parquet"),
    output:
        config=f"{RESULTS}/studies/{{study}}/config.json",
        table_csv=report(
            f"{RESULTS}/studies/{{study}}/table.csv",
            caption="../report/numbers.rst",
            category="Study {study}",
            subcategory="Tables",
            labels={"file": "table.csv", "shows": "every number in full precision"},
        ),
        table_md=report(
            f"{RESULTS}/studies/{{study}}/table.md",
            caption="../report/table.rst",
            category="Study {study}",
            subcategory="Tables",
            labels={"file": "table.md", "shows": "the tables"},
        ),
        table_tex=f"{RESULTS}/studies/{{study}}/table.tex",
        cells=f"{RESULTS}/studies/{{study}}/cells.parquet",
        items_csv=report(
            f"{RESULTS}/studies/{{study}}/items.csv",
            caption="../report/items.rst",
            category="Study {study}",
            subcategory="Tables",
            labels={"file": "items.csv", "shows": "every test item"},
        ),
        manifest=f"{RESULTS}/studies/{{study}}/config.manifest.json",
    log:
        f"{RESULTS}/logs/studies/{{study}}/study.log",
    benchmark:
        f"{RESULTS}/benchmarks/studies/{{study}}/study.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        config=lambda wc: plan.json("study", study=wc.study),
        code=lambda wc: plan.code("study", study=wc.study),
    message:
        "Writing the tables of {wildcards.study}"
    shell:
        'PYTHONPATH="$SOFTLABELS_PATH" python -Pm softlabels study'
        " --config @<(printf '%s\\n' {params.config:q}) --scores @<(printf '%s\\n' {input.scores:q})"
        " --predictions @<(printf '%s\\n' {input.predictions:q}) --references @<(printf '%s\\n' {input.references:q})"
        " --items {input.item_table:q} --reference {input.reference:q} --config-file {output.config:q}"
        " --table-csv {output.table_csv:q} --table-md {output.table_md:q} --table-tex {output.table_tex:q}"
        " --cells {output.cells:q} --items-csv {output.items_csv:q} --manifest {output.manifest:q} >{log:q} 2>&1"


rule chain:
    input:
        manifests=lambda wc: plan.manifests(wc.study),
    output:
        chain=f"{RESULTS}/studies/{{study}}/chain.json",
    log:
        f"{RESULTS}/logs/studies/{{study}}/chain.log",
    benchmark:
        f"{RESULTS}/benchmarks/studies/{{study}}/chain.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=growing(2000),
        runtime=growing(5),
    params:
        config=lambda wc: plan.json("chain", study=wc.study),
        code=lambda wc: plan.code("chain", study=wc.study),
    message:
        "Listing the manifests behind {wildcards.study}"
    shell:
        'PYTHONPATH="$SOFTLABELS_PATH" python -Pm softlabels chain --config {params.config:q}'
        " --manifests @<(printf '%s\\n' {input.manifests:q}) --chain {output.chain:q} >{log:q} 2>&1"


rule figure:
    input:
        embeddings=lambda wc: plan.embeddings(wc.study, wc.dataset, wc.split, wc.recipe),
        scores=lambda wc: plan.run_files(
            wc.study, "scores/standard.parquet", dataset=wc.dataset, split=wc.split, recipe=wc.recipe
        ),
        item_table=f"{RESULTS}/data/{{dataset}}/items.parquet",
        reference=f"{RESULTS}/data/{{dataset}}/reference.parquet",
    output:
        png=report(
            f"{RESULTS}/studies/{{study}}/figures/embedding-{{dataset}}-{{split}}-{{recipe}}.png",
            caption="../report/embedding.rst",
            category="Study {study}",
            subcategory="Embeddings",
            labels={"data set": "{dataset}", "split": "{split}", "recipe": "{recipe}"},
        ),
        pdf=f"{RESULTS}/studies/{{study}}/figures/embedding-{{dataset}}-{{split}}-{{recipe}}.pdf",
        manifest=f"{RESULTS}/studies/{{study}}/figures/embedding-{{dataset}}-{{split}}-{{recipe}}.manifest.json",
    log:
        f"{RESULTS}/logs/studies/{{study}}/embedding-{{dataset}}-{{split}}-{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/studies/{{study}}/embedding-{{dataset}}-{{split}}-{{recipe}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=growing(2000),
        runtime=growing(5),
    params:
        config=lambda wc: plan.json("figure", study=wc.study),
        code=lambda wc: plan.code("figure", study=wc.study),
    message:
        "Drawing the embedding of {wildcards.dataset} for {wildcards.study}"
    shell:
        'PYTHONPATH="$SOFTLABELS_PATH" python -Pm softlabels figure'
        " --config @<(printf '%s\\n' {params.config:q}) --embeddings {input.embeddings:q}"
        " --scores @<(printf '%s\\n' {input.scores:q})"
        " --items {input.item_table:q} --reference {input.reference:q} --png {output.png:q} --pdf {output.pdf:q}"
        " --manifest {output.manifest:q} >{log:q} 2>&1"


rule curves:
    input:
        histories=lambda wc: plan.run_files(
            wc.study, "history.parquet", dataset=wc.dataset, split=wc.split, recipe=wc.recipe
        ),
    output:
        png=report(
            f"{RESULTS}/studies/{{study}}/figures/curves-{{dataset}}-{{split}}-{{recipe}}.png",
            caption="../report/curves.rst",
            category="Study {study}",
            subcategory="Learning curves",
            labels={"data set": "{dataset}", "split": "{split}", "recipe": "{recipe}"},
        ),
        pdf=f"{RESULTS}/studies/{{study}}/figures/curves-{{dataset}}-{{split}}-{{recipe}}.pdf",
        manifest=f"{RESULTS}/studies/{{study}}/figures/curves-{{dataset}}-{{split}}-{{recipe}}.manifest.json",
    log:
        f"{RESULTS}/logs/studies/{{study}}/curves-{{dataset}}-{{split}}-{{recipe}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/studies/{{study}}/curves-{{dataset}}-{{split}}-{{recipe}}.tsv"
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        gpu=0,
        mem_mb=growing(2000),
        runtime=growing(5),
    params:
        config=lambda wc: plan.json("curves", study=wc.study),
        code=lambda wc: plan.code("curves", study=wc.study),
    message:
        "Drawing the learning curves of {wildcards.dataset} for {wildcards.study}"
    shell:
        'PYTHONPATH="$SOFTLABELS_PATH" python -Pm softlabels curves'
        " --config @<(printf '%s\\n' {params.config:q}) --histories @<(printf '%s\\n' {input.histories:q})"
        " --png {output.png:q} --pdf {output.pdf:q} --manifest {output.manifest:q} >{log:q} 2>&1"
