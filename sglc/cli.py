"""The command line: every command and option, declared; what they do is in `sglc/commands`, loaded on use."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Literal, NoReturn

import typer

from sglc.commands.optional_name import NameMayBeLeftOut
from sglc.errors import SglcError
from sglc.version import __version__

EXIT_UNUSABLE_INPUT = 2
EXIT_INTERRUPTED = 130

DType = Literal["auto", "float32", "bfloat16", "float64"]
DumpFormat = Literal["text", "dot", "svg", "mermaid", "html"]
Program = Annotated[str, typer.Argument(metavar="PROGRAM.py[:FUNCTION]", help="The program.")]
RowsToTrace = Annotated[
    str | None, typer.Option("--rows", help="Trace for these rows: a file with one JSON object a line, or -.")
]
ArgumentsToTrace = Annotated[
    str | None, typer.Option("--args", metavar="JSON", help='Trace for these arguments: {"name": value}.')
]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback with an error.")]
Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more on stderr; twice for everything.")]

app = typer.Typer(
    name="sglc",
    help="An optimizing compiler and local runtime for LLM programs.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main() -> NoReturn:
    """Run the command line on `sys.argv` and exit: 0 done, 1 rows failed, 2 unusable input, 130 Ctrl-C."""
    app(prog_name="sglc")
    raise AssertionError("typer exits")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sglc {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    program: Program,
    rows: Annotated[str, typer.Option(help="Rows: a file with one JSON object a line, or - for stdin.")],
    out: Annotated[str, typer.Option(help="Results: a file, or - for stdout.")],
    model: Annotated[
        str | None,
        typer.Option(envvar="SGLC_MODEL", help="A model folder, OWNER/NAME[@REVISION], replay:hash or replay:TRACE."),
    ] = None,
    tokenizer: Annotated[str | None, typer.Option(help="A tokenizer, where it is not the model's own.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    dtype: Annotated[DType, typer.Option(help="Numbers of the weights and the KV cache.")] = "auto",
    kv_tokens: Annotated[
        int | None, typer.Option(min=1, help="Room of the KV cache, in tokens; else what the memory allows.")
    ] = None,
    chat_template: Annotated[str | None, typer.Option(help="A chat template: a file, or chatml.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Default temperature; 0 is greedy.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Default limit of new tokens.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Run only the first rows.")] = None,
    outputs: Annotated[str | None, typer.Option(metavar="A,B", help="Write only these variables.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Most rows that run at once.")] = None,
    level: Annotated[
        int, typer.Option("-O", min=0, max=3, help="How far graphs are optimized; 3 may move unordered sections.")
    ] = 2,
    eager: Annotated[bool, typer.Option("--eager", help="Run in Python, not by captured graphs.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the results of an earlier run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the results of an earlier run.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a summary as one JSON object.")] = False,
    debug: Debug = False,
    verbose: Verbose = 0,
) -> None:
    """Run a program over rows; write one line of results for each, in the order they finish.

    A line is {"index", "variables", "text", "error", "finish"}. A row that failed has its error there, the others go
    on, and the exit code is 1. To run failed rows again, remove their lines from the file and use --resume.
    """

    def action() -> int:
        from sglc.commands.engine_options import EngineOptions
        from sglc.commands.run import RunOptions
        from sglc.commands.run import run as run_program

        engine = EngineOptions(
            model=model,
            tokenizer=tokenizer,
            device=device,
            dtype=dtype,
            kv_tokens=kv_tokens,
            chat_template=chat_template,
        )
        defaults = {"temperature": temperature, "max_new_tokens": max_tokens, "seed": seed}
        options = RunOptions(
            program=program,
            rows=rows,
            out=out,
            engine=engine,
            limit=limit,
            outputs=None if outputs is None else tuple(name.strip() for name in outputs.split(",")),
            resume=resume,
            overwrite=overwrite,
            json=json,
            concurrency=concurrency,
            level=level,
            eager=eager,
            sampling={name: value for name, value in defaults.items() if value is not None},
        )
        return run_program(options)

    _finish(action, debug, verbose)


@app.command("compile")
def compile_(
    program: Program,
    check: Annotated[bool, typer.Option("--check", help="Only say how far the program is captured.")] = False,
    rows: RowsToTrace = None,
    args: ArgumentsToTrace = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
    debug: Debug = False,
    verbose: Verbose = 0,
) -> None:
    """Say of each program of a file how far it is captured, and for what runs eagerly: the line, the cause, the mend.

    The exit code is 1 where something runs eagerly. Without rows or arguments, every argument may be any text.
    """

    def action() -> int:
        from sglc.commands.compile import CompileOptions, compile_program

        return compile_program(CompileOptions(program=program, check=check, rows=rows, args=args, json=json))

    _finish(action, debug, verbose)


@app.command(cls=NameMayBeLeftOut)
def dump(
    program: Program,
    rows: RowsToTrace = None,
    args: ArgumentsToTrace = None,
    form: Annotated[DumpFormat, typer.Option("--format", help="How to show it; svg needs Graphviz.")] = "text",
    plan: Annotated[bool, typer.Option("--plan", help="Show the plan that is executed.")] = False,
    locations: Annotated[bool, typer.Option("--locations", help="Show in text where each line comes from.")] = False,
    tokenizer: Annotated[str | None, typer.Option(help="Count tokens with this tokenizer, in html.")] = None,
    automaton: Annotated[
        str | None,
        typer.Option(metavar="[NAME]", help="Show the automata of constrained generations, or of the one so called."),
    ] = None,
    out: Annotated[str | None, typer.Option("--out", "-o", help="A file; else stdout.")] = None,
    debug: Debug = False,
    verbose: Verbose = 0,
) -> None:
    """Show a program as sglc sees it: a graph for each kind of row, or for any.

    With --format html that is a page on which the drawing, the text and the source lead to each other. With --automaton
    it is what constraints become: their automata, before and after runs of forced bytes are one edge.
    """

    def action() -> int:
        from sglc.commands.dump import DumpOptions
        from sglc.commands.dump import dump as dump_program

        options = DumpOptions(
            program=program,
            rows=rows,
            args=args,
            format=form,
            plan=plan,
            locations=locations,
            tokenizer=tokenizer,
            automaton=automaton,
            out=out,
        )
        return dump_program(options)

    _finish(action, debug, verbose)


@app.command()
def explain(
    program: Program,
    rows: Annotated[
        str | None,
        typer.Option("--rows", help="Explain what these rows cost: a file with one JSON object a line, or -."),
    ] = None,
    args: ArgumentsToTrace = None,
    analyze: Annotated[bool, typer.Option("--analyze", help="Run the rows, and show what they did cost.")] = False,
    html: Annotated[str | None, typer.Option(metavar="FILE", help="Write a page for the browser, too.")] = None,
    timeline: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the run as a trace for Perfetto or chrome://tracing.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(envvar="SGLC_MODEL", help="A model folder, OWNER/NAME[@REVISION], replay:hash or replay:TRACE."),
    ] = None,
    tokenizer: Annotated[str | None, typer.Option(help="A tokenizer, where it is not the model's own.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    dtype: Annotated[DType, typer.Option(help="Numbers of the weights and the KV cache.")] = "auto",
    kv_tokens: Annotated[
        int | None, typer.Option(min=1, help="Room of the KV cache, in tokens; else what the memory allows.")
    ] = None,
    chat_template: Annotated[str | None, typer.Option(help="A chat template: a file, or chatml.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Default temperature; 0 is greedy.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Default limit of new tokens.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows.")] = None,
    outputs: Annotated[str | None, typer.Option(metavar="A,B", help="Only these variables are wanted.")] = None,
    level: Annotated[
        int, typer.Option("-O", min=0, max=3, help="How far graphs are optimized; 3 may move unordered sections.")
    ] = 2,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    debug: Debug = False,
    verbose: Verbose = 0,
) -> None:
    """Show what a program becomes, what is computed once for many, what its rows will cost at most, and why.

    With --analyze the rows are run: what they did cost stands beside what was foretold, by statement and by pass.
    """

    def action() -> int:
        from sglc.commands.engine_options import EngineOptions
        from sglc.commands.explain import ExplainOptions
        from sglc.commands.explain import explain as explain_program

        engine = EngineOptions(
            model=model,
            tokenizer=tokenizer,
            device=device,
            dtype=dtype,
            kv_tokens=kv_tokens,
            chat_template=chat_template,
        )
        defaults = {"temperature": temperature, "max_new_tokens": max_tokens, "seed": seed}
        options = ExplainOptions(
            program=program,
            engine=engine,
            rows=rows,
            args=args,
            limit=limit,
            analyze=analyze,
            level=level,
            outputs=None if outputs is None else tuple(name.strip() for name in outputs.split(",")),
            html=html,
            timeline=timeline,
            json=json,
            sampling={name: value for name, value in defaults.items() if value is not None},
        )
        return explain_program(options)

    _finish(action, debug, verbose)


@app.command()
def opt(
    file: Annotated[str, typer.Argument(metavar="FILE.sglir", help="Graphs, as `sglc dump` writes them; - is stdin.")],
    passes: Annotated[
        str | None, typer.Option(metavar="A,B{OPTION=1}", help="Run these passes, in this order; else those of -O2.")
    ] = None,
    level: Annotated[int | None, typer.Option("-O", min=0, max=3, help="Run the passes of a level.")] = None,
    after: Annotated[str | None, typer.Option(metavar="PASS", help="Stop behind this pass, or behind lower.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Lower programs, also without passes on plans.")] = False,
    params: Annotated[str | None, typer.Option(metavar="JSON", help='Sampling defaults: {"temperature": 0}.')] = None,
    fixed: Annotated[
        str | None, typer.Option(metavar="JSON", help='Arguments that are the same in every row: {"name": value}.')
    ] = None,
    outputs: Annotated[str | None, typer.Option(metavar="A,B", help="Only these variables are wanted.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="The tokenizer that plans are made for.")] = None,
    print_after_all: Annotated[bool, typer.Option("--print-after-all", help="Show every step, on stderr.")] = False,
    timing: Annotated[bool, typer.Option("--timing", help="Say how long every step took, on stderr.")] = False,
    remarks: Annotated[bool, typer.Option("--remarks", help="Say what the passes did and missed, on stderr.")] = False,
    locations: Annotated[bool, typer.Option("--locations", help="Show where each line comes from.")] = False,
    debug: Debug = False,
    verbose: Verbose = 0,
) -> None:
    """Run passes of the optimizer on the graphs of a file and print what they become."""

    def action() -> int:
        from sglc.commands.opt import OptOptions
        from sglc.commands.opt import opt as optimize

        options = OptOptions(
            file=file,
            passes=passes,
            level=level,
            after=after,
            plan=plan,
            params=params,
            fixed=fixed,
            outputs=outputs,
            tokenizer=tokenizer,
            print_after_all=print_after_all,
            timing=timing,
            remarks=remarks,
            locations=locations,
        )
        return optimize(options)

    _finish(action, debug, verbose)


@app.command()
def demo(debug: Debug = False, verbose: Verbose = 0) -> None:
    """Run a few small programs on a small model and show the results. Needs no model and no network."""

    def action() -> int:
        from sglc.commands.demo import demo as run_demo

        return run_demo()

    _finish(action, debug, verbose)


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    debug: Debug = False,
    verbose: Verbose = 0,
) -> None:
    """Say what sglc finds on this machine: versions, processor, devices, and the dtype to use."""

    def action() -> int:
        from sglc.commands.doctor import doctor as examine

        return examine(as_json=json)

    _finish(action, debug, verbose)


def _finish(action: Callable[[], int], debug: bool, verbose: int) -> NoReturn:
    """Run a command and exit with its code; what escapes it becomes one line on stderr."""
    _set_up_logging(verbose)
    try:
        code = action()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        raise  # typer ends quietly when the reader of stdout has gone
    except Exception as error:
        if debug:
            traceback.print_exc()
        unexpected = f"found {type(error).__name__}: {error}, which sglc did not expect; --debug shows where"
        typer.echo(f"sglc: error: {error if isinstance(error, SglcError) else unexpected}", err=True)
        code = EXIT_UNUSABLE_INPUT
    raise typer.Exit(code)


def _set_up_logging(verbose: int) -> None:
    """Send the messages of sglc to stderr: warnings, with `-v` progress, with `-vv` everything."""
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("sglc: %(message)s"))
    logger = logging.getLogger("sglc")
    logger.handlers = [handler]
    logger.setLevel(levels[min(verbose, 2)])
