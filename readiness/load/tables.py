"""A load run as lines on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from readiness.load.merging import StageResult
from readiness.load.plan import CLOSED
from readiness.load.results import LoadResult
from readiness.load.stats.breakpoint import Bracket
from readiness.load.stats.compare import Compared
from readiness.load.validity import generator
from readiness.load.verdict import LoadVerdict

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
_MOST_KINDS = 10


def judged(result: LoadResult, verdict: LoadVerdict) -> Iterator[str]:
    """Tell one run: what was asked and served stage by stage, latencies, errors, the generator, the verdict."""
    plan = result.plan
    asked = f"{plan.users} users, closed" if plan.model == CLOSED else f"open, {plan.arrivals} arrivals"
    yield f"{plan.profile}: {plan.variant}, {asked}, {plan.duration_s:g} s: {result.folder}"
    yield ""
    yield from stages((*result.stages, result.total))
    yield ""
    yield from latencies(result)
    yield from _errors(result)
    yield _generator(result)
    yield ""
    for measured in verdict.measured:
        yield f"{'holds ' if measured.holds else 'broken'}  {measured.criterion.name}"
    yield str(verdict.outcome)
    for reason in verdict.reasons:
        yield f"  {reason}"


def stages(rows: Sequence[StageResult]) -> Iterator[str]:
    """Tell stages as a table: asked for and started, served a second, and what became of the rest."""
    width = max(5, *(len(row.name) for row in rows))
    yield f"{'stage':{width}}  planned  started   asked/s  served/s   shed  broken       p50       p95       p99"
    for row in rows:
        quantiles = "".join(f"{_time(each):>10}" for each in (row.latency.p50_s, row.latency.p95_s, row.latency.p99_s))
        rates = f"{row.planned_rate:>9.1f} {row.achieved_rate:>9.1f}"
        yield f"{row.name:{width}} {row.planned:>8} {row.started:>8} {rates} {row.shed:>6} {row.broken:>7}{quantiles}"


def latencies(result: LoadResult) -> Iterator[str]:
    """Tell percentiles from the intended start beside service time, and what a closed loop would have left out."""
    corrected = result.plan.model == CLOSED
    yield f"{'':9} from the intended start  service time" + ("  corrected (HdrHistogram's)" if corrected else "")
    for name, q in _QUANTILES.items():
        more = f"{_time(result.corrected_s(q)):>28}" if corrected else ""
        yield f"{name:9} {_time(result.quantile_s(q)):>24} {_time(result.quantile_s(q, of='service')):>13}{more}"
    factor = result.omission_factor()
    if factor is not None and not corrected:
        yield f"omission factor: {factor:.3g} at p99 (how far service time alone would have flattered)"
    if not result.raw:
        yield "beyond the raw samples: merged buckets, within 0.4 %"


def compared(found: Sequence[Compared], tolerance: float) -> Iterator[str]:
    """Tell a comparison, one line a metric."""
    yield f"{'metric':12} {'A':>10} {'B':>10}  B : A  95 % interval"
    for row in found:
        write = _amount if row.metric in ("throughput", "utilisation") else _share if row.metric == "errors" else _time
        word = "worse" if row.worse else "better" if row.better else "no difference"
        interval = f"{row.low:.3f} to {row.high:.3f}"
        yield f"{row.metric:12} {write(row.a):>10} {write(row.b):>10}  {row.ratio:5.3f}  {interval:16}  {word}"
    yield f"worse, better: the whole interval lies beyond {tolerance:.0%}"


def bracketed(found: Bracket) -> Iterator[str]:
    """Tell a bracket and how it was found."""
    for number, step in enumerate(found.steps, 1):
        yield f"{number:3}  {step.rate:9.4g}/s  {'held' if step.held else 'not held'}"
    low = f"{found.lo:.4g}/s" if found.lo else "less than the lowest rate"
    high = "no rate that was tried" if found.hi is None else f"{found.hi:.4g}/s"
    yield f"holds {low}, does not hold {high}; each by a majority of {found.repeated}, {len(found.steps)} measurements"
    if not found.complete:
        yield "incomplete: the measurements were used up before the bracket was narrow and repeated"


def _errors(result: LoadResult) -> Iterator[str]:
    for kind, count in list(result.errors.items())[:_MOST_KINDS]:
        yield f"{count:>8} x {kind}"
    if len(result.errors) > _MOST_KINDS:
        yield f"         and {len(result.errors) - _MOST_KINDS} more kinds"


def _generator(result: LoadResult) -> str:
    health = generator(result)
    cpu = "–" if health.cpu_peak is None else f"{health.cpu_peak:.0%} of a core"
    return (
        f"generator: {result.workers_ended} of {result.workers_expected} workers, CPU at its peak {cpu}, "
        f"lag p95 {_ms(health.lag_p95_ms)}, late starts p99 {_ms(health.late_p99_ms)}"
    )


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds * 1000:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g} ms"


def _share(value: float) -> str:
    return f"{100 * value:.3g} %"


def _amount(value: float) -> str:
    return f"{value:.4g}"
