rule download:
    output:
        file=plan.downloads,
    log:
        log_of("download"),
    benchmark:
        benchmark_of("download")
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
        call("download")


rule data:
    input:
        unpack(lambda wc: plan.watched_inputs(wc.dataset)),
    output:
        **outputs("data"),
    log:
        log_of("data"),
    benchmark:
        benchmark_of("data")
    conda:
        "../../envs/train.yaml"
    threads: lambda wc: plan.data_threads(wc.dataset)
    resources:
        **resources("data"),
    params:
        # Where the sources lie is not tracked (it names `input`): moving them changes no result.
        **tracked("data"),
        sources=lambda wc, input: plan.data_options(wc.dataset),
    message:
        "Making the data set {wildcards.dataset}"
    shell:
        call("data", inputs="{params.sources}")


rule card:
    input:
        images=place("data", "images"),
        item_table=place("data", "items"),
        annotations=place("data", "annotations"),
        reference=place("data", "reference"),
        splits=lambda wc: plan.split_files(wc.dataset),
    output:
        **outputs(
            "card",
            card_md=dict(
                category="Data",
                caption="../report/card.rst",
                labels={"data set": "{dataset}", "shows": "data card"},
            ),
            sheet=dict(
                category="Data",
                caption="../report/card.rst",
                labels={"data set": "{dataset}", "shows": "clear and ambiguous images"},
            ),
            votes=dict(
                category="Data",
                caption="../report/card.rst",
                labels={"data set": "{dataset}", "shows": "votes, entropy, agreement"},
            ),
        ),
    log:
        log_of("card"),
    benchmark:
        benchmark_of("card")
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        **resources("card"),
    params:
        **tracked("card"),
    message:
        "Describing the data set {wildcards.dataset}"
    shell:
        call("card")
