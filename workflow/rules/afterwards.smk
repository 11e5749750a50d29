# No declared output: Snakemake would delete the report of an audit that found something. It lies in {RESULTS}/audit/.
# No benchmark: Snakemake takes that for an output, and would not audit a second time.
rule audit:
    input:
        plan.targets(),
    log:
        f"{RESULTS}/{LOGS}/audit.log",
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        gpu=0,
    params:
        studies=[place("study", "table_md", study=study) for study in plan.config["studies"]],
        configfile=workflow.configfiles[-1:],
    message:
        "Auditing {params.studies}"
    shell:
        'PYTHONPATH="$SOFTLABELS_PATH" python -Pm softlabels audit {params.studies:q} --configfile {params.configfile:q}'
        " 2>&1 | tee {log:q}"


# No declared output, for the same reason: the page shows what there is, and is written again each time.
rule report:
    input:
        plan.targets(),
    log:
        f"{RESULTS}/{LOGS}/report.log",
    conda:
        "../../envs/analysis.yaml"
    threads: 1
    resources:
        gpu=0,
    params:
        studies=[place("study", "table_md", study=study) for study in plan.config["studies"]],
        images=plan.config["report"]["images"],
    message:
        "Writing the page of {params.studies}"
    shell:
        'PYTHONPATH="$SOFTLABELS_PATH" python -Pm softlabels report {params.studies:q} --images {params.images:q}'
        " 2>&1 | tee {log:q}"
