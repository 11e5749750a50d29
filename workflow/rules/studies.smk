rule study:
    input:
        scores=lambda wc: plan.files(wc.study, "evaluate", "scores"),
        terms=lambda wc: plan.files(wc.study, "evaluate", "terms"),
        predictions=lambda wc: plan.predictions(wc.study),
        references=lambda wc: plan.files(wc.study, "references", "references"),
        item_table=lambda wc: plan.files(wc.study, "data", "items"),
        reference=lambda wc: plan.files(wc.study, "data", "reference"),
        annotations=lambda wc: plan.annotations(wc.study),
        histories=lambda wc: plan.histories(wc.study),
    output:
        **outputs(
            "study",
            table_csv=dict(
                caption="../report/numbers.rst",
                category="Study {study}",
                subcategory="Tables",
                labels={"file": "table.csv", "shows": "every number in full precision"},
            ),
            table_md=dict(
                caption="../report/table.rst",
                category="Study {study}",
                subcategory="Tables",
                labels={"file": "table.md", "shows": "the tables"},
            ),
            items_csv=dict(
                caption="../report/items.rst",
                category="Study {study}",
                subcategory="Tables",
                labels={"file": "items.csv", "shows": "every test item"},
            ),
        ),
    log:
        log_of("study"),
    benchmark:
        benchmark_of("study")
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        **resources("study"),
    params:
        **tracked("study"),
    message:
        "Writing the tables of {wildcards.study}"
    shell:
        call("study")


rule chain:
    input:
        manifests=lambda wc: plan.manifests(wc.study),
    output:
        **outputs("chain"),
    log:
        log_of("chain"),
    benchmark:
        benchmark_of("chain")
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        **resources("chain"),
    params:
        **tracked("chain"),
    message:
        "Listing the manifests behind {wildcards.study}"
    shell:
        call("chain")


rule figure:
    input:
        unpack(lambda wc: {key(name): files for name, files in plan.figure_files(**wc).items()}),
    output:
        **outputs(
            "figure",
            png=dict(
                caption="../report/figure.rst",
                category="Study {study}",
                subcategory="Figures",
                labels=lambda wc: plan.figure_labels(wc.figure, wc.block),
            ),
        ),
    log:
        log_of("figure"),
    benchmark:
        benchmark_of("figure")
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        **resources("figure"),
    params:
        **tracked("figure"),
    message:
        "Drawing the figure {wildcards.figure}{wildcards.block} of {wildcards.study}"
    shell:
        call("figure")
