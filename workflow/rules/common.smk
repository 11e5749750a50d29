def signed(function):
    """A function with its signature noted: Snakemake asks for that at each call, several times, and it takes longer."""
    function.__signature__ = signature(function)
    return function


def resources(command, gpu=0):
    """What a job asks for, by its data and settings; as much again each time that it is tried again.

    `in_turn`: on a cluster, the jobs of a group run one after the other.
    """

    def growing(resource):
        return signed(lambda wildcards, attempt: attempt * needs(plan, command, **wildcards)[resource])

    return {"gpu": gpu, "in_turn": 1, "mem_mb": growing("mem_mb"), "runtime": growing("minutes")}


def key(path):
    """The name of an input or output in a rule: Snakemake's lists of files have a method `items`."""
    return "item_table" if path == "items" else path


def place(command, output, **fixed):
    """One output of a command, with wildcards but for those that are fixed."""
    file = PLACES[command].files[output]
    return expand(f"{RESULTS}/{file}", **fixed, allow_missing=True)[0]


@signed
def labels_of(wildcards):
    """The labels that a run learns from."""
    names = plan.labels_of(wildcards.label, wildcards.split, wildcards.seed)
    return plan.path("label", "labels", dataset=wildcards.dataset, label=wildcards.label, **names)


def outputs(command, **shown):
    """All outputs of a command and its manifest; `shown` is what the report says of some of them."""
    files = {name: place(command, name) for name in PLACES[command].files}
    return {key(name): report(file, **shown[name]) if name in shown else file for name, file in files.items()}


def log_of(command):
    return f"{RESULTS}/{LOGS}/{PLACES[command].log}.log"


def benchmark_of(command):
    return f"{RESULTS}/{BENCHMARKS}/{PLACES[command].log}.tsv"


def tracked(command):
    """The parameters that make a result old: exactly two, because Snakemake compares them without their names."""
    return {
        "config": signed(lambda wildcards: plan.json(command, **wildcards)),
        "code": signed(lambda wildcards: plan.code(command, **wildcards)),
    }


def call(command, inputs=None):
    """The shell line that runs a command; `inputs` in place of the options for its inputs.

    What grows with the grid is passed as @<(printf …): to bash's own printf no line is too long. A training replaces the
    shell: one in between would die of the signal that asks the training to save its state, and what waits for the shell
    would end the job before the state is saved.
    """
    about = COMMANDS[command]
    many = any("*" in path for path in about.inputs)

    def files(path):
        files = f"{{input.{key(bare(path))}:q}}"
        return f"@<(printf '%s\\n' {files})" if "*" in path else files

    words = [
        'PYTHONPATH="$SOFTLABELS_PATH"',
        "exec" if about.resumes else "",
        f"python -Pm softlabels {command} --config",
        "@<(printf '%s\\n' {params.config:q})" if many else "{params.config:q}",
        inputs or " ".join(f"{option(path)} {files(path)}" for path in about.inputs),
        *(f"{option(name)} {{output.{key(name)}:q}}" for name in PLACES[command].outputs),
        "--threads {threads}" if about.threads else "",
        "--manifest {output.manifest:q}" if PLACES[command].manifest else "",
        ">{log:q} 2>&1",
    ]
    return " ".join(filter(None, words))
