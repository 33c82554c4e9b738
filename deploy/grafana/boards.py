#!/usr/bin/env python3
"""Writes the five Grafana boards beside it. A test holds the files to what this writes, every query
to a live Prometheus, and the boards together to the closed list of metrics.

    python3 deploy/grafana/boards.py            # rewrite dashboards/*.json
    python3 deploy/grafana/boards.py --check    # exit with 1 when a file differs
"""

import json
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
AGENT = 'agent=~"$agent"'
WIDTH = 24

# One colour a meaning, on every board.
GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "#56A64B", "#E0B400", "#FF780A", "#E02F44", "#3274D9", "#8E8E8E"
SEVERITIES = {"critical": RED, "high": ORANGE, "medium": YELLOW, "low": BLUE, "info": GREY}
AGENTS = {"resource": "#3274D9", "cost": "#56A64B", "security": "#E02F44", "performance": "#FF780A", "coordinator": "#A352CC"}
STATES = {"owned": BLUE, "live": GREEN, "parked": RED}
CLASSES = {"2xx": GREEN, "3xx": BLUE, "4xx": YELLOW, "5xx": RED}
WORDS = {"severity": SEVERITIES, "agent": AGENTS, "state": STATES, "class": CLASSES}


def steps(*pairs, base=GREEN):
    """Thresholds: the colour below the first bound, then (bound, colour) upwards."""
    return {"mode": "absolute", "steps": [{"color": base, "value": None}] + [{"color": c, "value": v} for v, c in pairs]}


PLAIN = steps(base=BLUE)


def coloured(queries):
    """Fixed colours for what the legends can say."""
    legends = " ".join(legend for _, legend in queries)
    words = {word: colour for label, known in WORDS.items() if f"{{{{{label}}}}}" in legends for word, colour in known.items()}
    return [
        {"matcher": {"id": "byName", "options": name},
         "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}]}
        for name, colour in words.items()
    ]


def targets(queries, instant):
    return [
        {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": expr, "legendFormat": legend,
         "range": not instant, "instant": instant}
        for index, (expr, legend) in enumerate(queries)
    ]


def panel(kind, title, says, queries, unit, width, height, **more):
    """A panel without its place. `says` is shown behind the panel's (i)."""
    instant = kind in ("stat", "bargauge", "table", "piechart", "gauge")
    defaults = {"unit": unit, "thresholds": more.get("thresholds", PLAIN), "noValue": more.get("none", "none yet")}
    for name in ("min", "max", "decimals"):
        if name in more:
            defaults[name] = more[name]
    options = {}
    if kind == "timeseries":
        defaults["color"] = {"mode": "palette-classic"}
        defaults["custom"] = {
            "lineWidth": 2, "fillOpacity": 35 if more.get("stacked") else 8, "showPoints": "never",
            "stacking": {"mode": "normal" if more.get("stacked") else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if "thresholds" in more else "off"},
            "scaleDistribution": {"type": "log", "log": 10} if more.get("log") else {"type": "linear"},
        }
        options = {"legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
                   "tooltip": {"mode": "multi", "sort": "desc"}}
    elif kind == "heatmap":
        options = {"calculate": False, "cellGap": 1, "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
                   "yAxis": {"unit": unit}, "tooltip": {"show": True, "yHistogram": True}}
    else:
        defaults["color"] = {"mode": more.get("colour", "thresholds")}
        reduce = {"calcs": ["lastNotNull"], "fields": "", "values": False}
        if kind == "stat":
            options = {"reduceOptions": reduce, "colorMode": "background" if "thresholds" in more else "value",
                       "graphMode": "none", "justifyMode": "center", "textMode": more.get("text", "auto")}
        elif kind == "bargauge":
            options = {"reduceOptions": reduce, "orientation": "horizontal", "displayMode": "basic", "showUnfilled": True}
        elif kind == "gauge":
            options = {"reduceOptions": reduce, "showThresholdMarkers": True}
        elif kind == "piechart":
            options = {"reduceOptions": reduce, "pieType": "donut", "legend": {"displayMode": "table", "placement": "right", "values": ["value"]}}
    made = {"type": kind, "title": title, "description": says, "datasource": SOURCE,
            "targets": targets(queries, instant), "options": options,
            "fieldConfig": {"defaults": defaults, "overrides": coloured(queries)}, "_size": (width, height)}
    if kind == "heatmap":
        for target in made["targets"]:
            target["format"] = "heatmap"
    if "links" in more:
        made["links"] = [{"title": f"Open {title}", "url": f"/d/{more['links']}?${{__url_time_range}}&${{datasource:queryparam}}"}]
    return made


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [], "_size": (WIDTH, 1)}


def placed(panels):
    """Left to right, then down; a row begins a line."""
    x = y = line = 0
    for number, made in enumerate(panels, 1):
        width, height = made.pop("_size")
        if made["type"] == "row" or x + width > WIDTH:
            x, y, line = 0, y + line, 0
        made["id"] = number
        made["gridPos"] = {"x": x, "y": y, "w": width, "h": height}
        x, line = x + width, max(line, height)
    return panels


def board(uid, title, says, panels, by_agent):
    variables = [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus", "hide": 0,
                  "current": {}, "options": [], "refresh": 1, "regex": ""}]
    if by_agent:
        query = "label_values(skyherd_tasks, agent)"
        variables.append({"name": "agent", "type": "query", "label": "Agent", "datasource": SOURCE, "definition": query,
                          "query": {"query": query, "refId": "agents"}, "multi": True, "includeAll": True, "allValue": ".*",
                          "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "refresh": 2, "sort": 1, "hide": 0})
    return {
        "uid": uid, "title": title, "description": says, "tags": ["skyherd"], "schemaVersion": 39, "version": 1,
        "editable": False, "graphTooltip": 1, "refresh": "10s", "time": {"from": "now-1h", "to": "now"}, "timezone": "browser",
        "templating": {"list": variables},
        "annotations": {"list": [
            {"name": "Alerts", "datasource": SOURCE, "enable": True, "iconColor": RED,
             "expr": 'ALERTS{alertname=~"Skyherd.*", alertstate="firing"}', "titleFormat": "{{alertname}}", "textFormat": "{{agent}} {{instance}}"}]},
        "links": [{"type": "dashboards", "title": "Skyherd", "tags": ["skyherd"], "asDropdown": False, "includeVars": True,
                   "keepTime": True, "icon": "external link", "targetBlank": False, "tooltip": "", "url": ""}],
        "panels": placed(panels),
    }


def rate(metric, by, where=""):
    inside = f"{{{where}}}" if where else ""
    return f"sum by ({by}) (rate({metric}{inside}[$__rate_interval]))"


def quantile(q, metric, by, where=""):
    return f"histogram_quantile({q}, sum by ({by}, le) (rate({metric}_bucket{{{where}}}[$__rate_interval])))"


OPEN = "max by (severity, action) (skyherd_open_recommendations)"
FOUND = "max by (agent, severity) (skyherd_open_findings)"
SAVES = "max by (action) (skyherd_monthly_savings_usd)"
ALARM = steps((1, RED))
LATENCY = steps((0.1, YELLOW), (1, RED))


def overview():
    return [
        row("What it says"),
        panel("stat", "Open recommendations", "Changes worth making, over all accounts.", [(f"sum({OPEN})", "")], "short", 4, 4,
              links="skyherd-recommendations"),
        panel("stat", "Critical and high", "Those that should not wait.", [(f'sum({OPEN.replace("recommendations", "recommendations{severity=~" + chr(34) + "critical|high" + chr(34) + "}")})', "")],
              "short", 4, 4, thresholds=steps((1, ORANGE)), links="skyherd-recommendations"),
        panel("stat", "Would save a month", "The sum of all open recommendations, list prices.", [(f"sum({SAVES})", "")], "currencyUSD", 4, 4,
              decimals=0, links="skyherd-recommendations"),
        panel("stat", "Open findings", "What the agents' rules found and still hold.", [(f"sum({FOUND})", "")], "short", 4, 4),
        panel("stat", "Processes", "Processes of Skyherd that answer Prometheus.", [('sum(up{job="skyherd"})', "")], "short", 4, 4,
              thresholds=steps((1, GREEN), base=RED)),
        panel("stat", "Version", "Versions that run; more than one while a deployment rolls.", [("count by (version) (skyherd_build_info)", "{{version}}")],
              "short", 4, 4, text="name"),
        row("Is it well?"),
        panel("stat", "Records waiting", "Lag of all agents over all topics.", [("sum(skyherd_lag_records)", "")], "short", 4, 4,
              thresholds=steps((2_000, YELLOW), (50_000, RED)), links="skyherd-topics"),
        panel("stat", "Tasks parked", "Tasks whose intake stopped on a fault; they go on by themselves.", [('sum(skyherd_tasks{state="parked"})', "")],
              "short", 4, 4, thresholds=ALARM, links="skyherd-agents"),
        panel("stat", "Slowest row", "p99 from a record's arrival to the row it caused, the slowest agent.",
              [(f"max({quantile(0.99, 'skyherd_latency_seconds', 'agent')})", "")], "s", 4, 4, thresholds=LATENCY, links="skyherd-agents"),
        panel("stat", "Undecodable", "Dead letters a second, over all topics.", [("sum(rate(skyherd_dead_letters_total[$__rate_interval])) or vector(0)", "")],
              "ops", 4, 4, thresholds=steps((0.01, YELLOW), (1, RED)), links="skyherd-topics"),
        panel("stat", "Quietest source", "The longest that a raw topic has brought nothing, heard by nobody.",
              [("max(min by (topic) (skyherd_source_quiet_seconds))", "")], "s", 4, 4, thresholds=steps((1_800, YELLOW), (172_800, RED)), links="skyherd-topics"),
        panel("stat", "Fullest memory", "Held of what may be held: processes and store.",
              [("max(skyherd_memory_bytes / skyherd_memory_bound_bytes)", "")], "percentunit", 4, 4, thresholds=steps((0.85, YELLOW), (0.95, RED)),
              links="skyherd-memory"),
        row("Flow"),
        panel("timeseries", "Records taken", "By agent, a second. Every agent takes what it reads, so a record of aws.inventory counts four times.",
              [(rate("skyherd_records_taken_total", "agent"), "{{agent}}")], "ops", 12, 8, stacked=True),
        panel("timeseries", "Rows published", "By agent, a second: edges of findings, revisions of recommendations, tasks and answers.",
              [(rate("skyherd_rows_published_total", "agent"), "{{agent}}")], "ops", 12, 8, stacked=True),
        panel("timeseries", "Records waiting", "By agent: between its positions and the ends of its topics.",
              [("sum by (agent) (skyherd_lag_records)", "{{agent}}")], "short", 12, 8),
        panel("timeseries", "From record to row", "p99 by agent.", [(quantile(0.99, "skyherd_latency_seconds", "agent"), "{{agent}}")], "s", 12, 8,
              thresholds=LATENCY, log=True),
        row("What is found"),
        panel("timeseries", "Open findings", "By agent.", [(f"sum by (agent) ({FOUND})", "{{agent}}")], "short", 12, 8, stacked=True),
        panel("timeseries", "Open recommendations", "By severity.", [(f"sum by (severity) ({OPEN})", "{{severity}}")], "short", 12, 8, stacked=True),
        row("The process itself"),
        panel("timeseries", "Requests", "HTTP requests a second, by class of status.", [(rate("skyherd_http_requests_total", "class"), "{{class}}")], "reqps", 12, 7),
        panel("timeseries", "Rounds of self-watch", "Reports of each process on itself, a minute; failed ones are told with the next.",
              [("60 * sum by (instance, result) (rate(skyherd_watch_rounds_total[$__rate_interval]))", "{{instance}} {{result}}")], "short", 12, 7),
    ]


def agents():
    latency = "skyherd_latency_seconds"
    return [
        row("Work of $agent"),
        panel("timeseries", "Records taken", "A second.", [(rate("skyherd_records_taken_total", "agent", AGENT), "{{agent}}")], "ops", 8, 8),
        panel("timeseries", "Rows published", "A second.", [(rate("skyherd_rows_published_total", "agent", AGENT), "{{agent}}")], "ops", 8, 8),
        panel("timeseries", "Records waiting", "Between positions and the ends of the topics.", [(f"sum by (agent) (skyherd_lag_records{{{AGENT}}})", "{{agent}}")], "short", 8, 8),
        panel("timeseries", "From record to row: p50", "Half of the rows are out within it.", [(quantile(0.5, latency, "agent", AGENT), "{{agent}}")], "s", 8, 8, log=True, thresholds=LATENCY),
        panel("timeseries", "From record to row: p99", "All but one of a hundred rows are out within it.", [(quantile(0.99, latency, "agent", AGENT), "{{agent}}")], "s", 8, 8, log=True, thresholds=LATENCY),
        panel("heatmap", "From record to row", "How many rows took how long.", [(f"sum by (le) (increase({latency}_bucket{{{AGENT}}}[$__rate_interval]))", "{{le}}")], "s", 8, 8),
        panel("timeseries", "Age of the newest event", "Against the wall clock: what the source adds to our own latency.", [(f"max by (agent) (skyherd_event_age_seconds{{{AGENT}}})", "{{agent}}")], "s", 8, 8, log=True),
        panel("timeseries", "Event times held back", "Events dated ahead of the clock, clamped; points too late for their statistics; records told twice. A second.",
              [(rate("skyherd_event_times_clamped_total", "agent", AGENT), "{{agent}} ahead"), (rate("skyherd_points_late_total", "agent", AGENT), "{{agent}} late"),
               (rate("skyherd_records_repeated_total", "agent", AGENT), "{{agent}} repeated")], "ops", 16, 8),
        row("Tasks"),
        panel("timeseries", "Tasks", "Owned by the processes, caught up since they were acquired, stopped on a fault.",
              [(f"sum by (state) (skyherd_tasks{{{AGENT}}})", "{{state}}")], "short", 8, 8),
        panel("timeseries", "Partitions moved", "Assigned, revoked in good order, lost to a session that ran out.",
              [(rate("skyherd_partitions_moved_total", "agent, change", AGENT), "{{agent}} {{change}}")], "ops", 8, 8),
        panel("timeseries", "Rebalances", "Changes of assignment, a second.", [(rate("skyherd_rebalances_total", "agent", AGENT), "{{agent}}")], "ops", 8, 8),
        panel("timeseries", "Parked and resumed", "Tasks that stopped on a lasting fault, and went on.",
              [(rate("skyherd_tasks_parked_total", "agent", AGENT), "{{agent}} parked"), (rate("skyherd_tasks_resumed_total", "agent", AGENT), "{{agent}} resumed")], "ops", 8, 8),
        panel("timeseries", "Fenced", "Tasks lost to an owner with a higher epoch.", [(rate("skyherd_tasks_fenced_total", "agent", AGENT), "{{agent}}")], "ops", 8, 8),
        panel("timeseries", "Time to catch up", "p99 from a task's assignment until it has taken everything that was there.",
              [(quantile(0.99, "skyherd_task_restore_seconds", "agent", AGENT), "{{agent}}")], "s", 8, 8),
        row("Checkpoints"),
        panel("timeseries", "Duration", "p50 and p99. From 5 s on a task cannot save itself in time when its partition moves.",
              [(quantile(0.5, "skyherd_checkpoint_seconds", "agent", AGENT), "{{agent}} p50"), (quantile(0.99, "skyherd_checkpoint_seconds", "agent", AGENT), "{{agent}} p99")],
              "s", 12, 8, thresholds=steps((2, YELLOW), (5, RED)), log=True),
        panel("timeseries", "Retries", "Checkpoints that met a transient fault.", [(rate("skyherd_checkpoint_retries_total", "agent", AGENT), "{{agent}}")], "ops", 12, 8),
    ]


def topics():
    return [
        row("Topics of $agent"),
        panel("timeseries", "Records taken", "A second, by topic.", [(rate("skyherd_records_taken_total", "topic", AGENT), "{{topic}}")], "ops", 12, 8),
        panel("timeseries", "Records waiting", "By topic.", [(f"sum by (topic) (skyherd_lag_records{{{AGENT}}})", "{{topic}}")], "short", 12, 8),
        panel("timeseries", "Rows published", "A second, by topic.", [(rate("skyherd_rows_published_total", "topic", AGENT), "{{topic}}")], "ops", 12, 8),
        panel("timeseries", "Quiet for", "Since the last record of each raw topic, whichever process heard it.",
              [("min by (topic) (skyherd_source_quiet_seconds)", "{{topic}}")], "s", 12, 8),
        row("How facts come in"),
        panel("timeseries", "Pushed requests", "Requests that push records over HTTP, a second.", [(rate("skyherd_push_requests_total", "road, result"), "{{road}} {{result}}")], "reqps", 12, 7),
        panel("timeseries", "Pushed records", "Records pushed over HTTP, a second; quarantined ones are among the dead letters.",
              [(rate("skyherd_push_records_total", "road, result"), "{{road}} {{result}}")], "ops", 12, 7),
        panel("timeseries", "Pulled records", "Published by the sources that ask AWS, a second.", [(rate("skyherd_source_records_total", "source"), "{{source}}")], "ops", 8, 7),
        panel("timeseries", "Waits longest", "Since the account and region that waits longest was last taken whole.", [("max by (source) (skyherd_source_age_seconds)", "{{source}}")], "s", 8, 7),
        panel("timeseries", "Rounds of the sources", "Through one account and region, or one place of files, a minute: whole or partial.",
              [("60 * sum by (source, result) (rate(skyherd_source_rounds_total[$__rate_interval]))", "{{source}} {{result}}")], "short", 8, 7),
        panel("timeseries", "Bytes of files", "Read from folders and buckets that are watched, packed as they were, a second.", [(rate("skyherd_source_bytes_total", "source"), "{{source}}")], "Bps", 6, 7),
        panel("timeseries", "Paid to AWS", "US dollars an hour that asking costs, by list prices.", [("3600 * sum by (source) (rate(skyherd_source_micro_usd_total[$__rate_interval])) / 1e6", "{{source}}")], "currencyUSD", 6, 7),
        panel("timeseries", "Calls of AWS", "A second, retries too.", [(rate("skyherd_source_calls_total", "api, result"), "{{api}} {{result}}")], "ops", 6, 7),
        panel("timeseries", "Clients of AWS", "At hand (kept) or made, a second.", [(rate("skyherd_source_clients_total", "result"), "{{result}}")], "ops", 6, 7),
        row("Partitions: one account fills one"),
        panel("bargauge", "Busiest partitions", "Records a second. One that stands out holds a large account.",
              [(f"topk(10, {rate('skyherd_partition_records_total', 'partition', AGENT)})", "partition {{partition}}")], "ops", 12, 9),
        panel("timeseries", "Skew", "The busiest partition against the mean: 1 is even. What it costs is bounded by one core an account and agent.",
              [(f"max by (agent) ({rate('skyherd_partition_records_total', 'agent, partition', AGENT)}) / avg by (agent) ({rate('skyherd_partition_records_total', 'agent, partition', AGENT)})", "{{agent}}")],
              "short", 12, 9),
        row("What was not decided upon"),
        panel("timeseries", "Dead letters", "Undecodable, kept byte for byte: by topic and reason.", [(rate("skyherd_dead_letters_total", "topic, reason", AGENT), "{{topic}} {{reason}}")], "ops", 12, 8),
        panel("timeseries", "Ignored", "Well-formed and not of our kinds: by topic and reason.", [(rate("skyherd_records_ignored_total", "topic, reason", AGENT), "{{topic}} {{reason}}")], "ops", 12, 8),
        panel("timeseries", "Misplaced", "In another account's partition: a producer with another hash. Forwarded by the home agent, skipped by others.",
              [(rate("skyherd_records_misplaced_total", "topic, result", AGENT), "{{topic}} {{result}}")], "ops", 12, 8),
        panel("timeseries", "Own reports", "Reports of our own processes among the records of aws.events.", [(rate("skyherd_reports_taken_total", "agent"), "{{agent}}")], "ops", 12, 8),
        panel("timeseries", "Gaps", "Stored positions outside the log.", [(rate("skyherd_position_gaps_total", "agent, topic", AGENT), "{{agent}} {{topic}}")], "ops", 12, 7),
        panel("timeseries", "Records lost", "Dropped by the log before they were taken.", [(rate("skyherd_position_gap_records_total", "agent, topic", AGENT), "{{agent}} {{topic}}")], "ops", 12, 7),
    ]


def memory():
    return [
        row("How full"),
        panel("gauge", "Of what may be held", "Each process against its control group or machine, the store against its maxmemory.",
              [("skyherd_memory_bytes / skyherd_memory_bound_bytes", "{{of}} {{instance}}")], "percentunit", 8, 8, min=0, max=1, thresholds=steps((0.85, YELLOW), (0.95, RED))),
        panel("timeseries", "Held", "Resident memory of each process; memory of Redis, or disk of an embedded service.", [("skyherd_memory_bytes", "{{of}} {{instance}}")], "bytes", 8, 8),
        panel("timeseries", "May be held", "Without a bound there is no line.", [("skyherd_memory_bound_bytes", "{{of}} {{instance}}")], "bytes", 8, 8),
        row("State of $agent"),
        panel("timeseries", "Subjects at hand", "Subjects whose state is decoded in process memory; at the cache's bound the longest unused leave.",
              [(f"sum by (agent) (skyherd_subjects_cached{{{AGENT}}})", "{{agent}}")], "short", 8, 8),
        panel("timeseries", "Subjects saved", "Written by checkpoints, a second.", [(rate("skyherd_checkpoint_subjects_total", "agent", AGENT), "{{agent}}")], "ops", 8, 8),
        panel("timeseries", "Checkpoint size", "p99 of the state bytes of one checkpoint; 8 MiB force one.",
              [(quantile(0.99, "skyherd_checkpoint_bytes", "agent", AGENT), "{{agent}}")], "bytes", 8, 8, thresholds=steps((8_388_608, YELLOW))),
        row("Backup and recovery (Kafka and Redis)"),
        panel("timeseries", "Backups", "Copies of changed states in the topic memory, a second.", [(rate("skyherd_backups_total", "agent", AGENT), "{{agent}}")], "ops", 8, 7),
        panel("timeseries", "Subjects backed up", "A second.", [(rate("skyherd_backup_subjects_total", "agent", AGENT), "{{agent}}")], "ops", 8, 7),
        panel("timeseries", "Subjects restored", "States that came from the backup: the store had lost them.", [(rate("skyherd_subjects_restored_total", "agent", AGENT), "{{agent}}")], "ops", 8, 7),
        panel("timeseries", "Memory went back", "Tasks reacquired because the store was older than known.", [(rate("skyherd_memory_went_back_total", "agent", AGENT), "{{agent}}")], "ops", 12, 7),
        panel("timeseries", "Rows set right", "Rows of an earlier owner: confirmed, adopted, withdrawn.", [(rate("skyherd_rows_repaired_total", "agent, edge", AGENT), "{{agent}} {{edge}}")], "ops", 12, 7),
    ]


def recommendations():
    each = [
        panel("stat", name.capitalize(), f"Open recommendations of severity {name}.", [(f'sum(max by (severity, action) (skyherd_open_recommendations{{severity="{name}"}}))', "")],
              "short", 4, 4, thresholds=steps((1, colour), base=GREY)) for name, colour in SEVERITIES.items()
    ]
    return [
        row("Now"),
        *each,
        panel("stat", "Would save a month", "The sum of all open recommendations, list prices.", [(f"sum({SAVES})", "")], "currencyUSD", 4, 4, decimals=2, thresholds=steps((1, GREEN), base=GREY)),
        row("What to do"),
        panel("bargauge", "By action", "Open recommendations by the change they propose.", [(f"sum by (action) ({OPEN}) > 0", "{{action}}")], "short", 8, 10),
        panel("bargauge", "Savings by action", "USD a month.", [(f"{SAVES} > 0", "{{action}}")], "currencyUSD", 8, 10, decimals=2),
        panel("piechart", "Findings by agent", "Who found what is behind them.", [(f"sum by (agent) ({FOUND})", "{{agent}}")], "short", 8, 10, colour="palette-classic"),
        row("How it went"),
        panel("timeseries", "Open recommendations", "By severity.", [(f"sum by (severity) ({OPEN})", "{{severity}}")], "short", 12, 9, stacked=True),
        panel("timeseries", "Savings within reach", "USD a month, by action.", [(f"{SAVES} > 0", "{{action}}")], "currencyUSD", 12, 9, stacked=True),
        panel("timeseries", "Open findings", "By severity.", [(f"sum by (severity) ({FOUND})", "{{severity}}")], "short", 12, 9, stacked=True),
        panel("timeseries", "Rows published", "Findings and recommendations a second: edges, not levels.",
              [(rate("skyherd_rows_published_total", "topic", 'topic=~"findings.*|recommendations"'), "{{topic}}")], "ops", 12, 9),
    ]


def boards():
    return {
        "overview": board("skyherd-overview", "Skyherd: overview", "What Skyherd says, and whether it is well.", overview(), False),
        "agents": board("skyherd-agents", "Skyherd: agents", "Work, latency, tasks and checkpoints of each agent.", agents(), True),
        "topics": board("skyherd-topics", "Skyherd: topics", "What flows through the topics, what waits, what was not decided upon.", topics(), True),
        "memory": board("skyherd-memory", "Skyherd: memory", "How full processes and store are, and what keeps states safe.", memory(), True),
        "recommendations": board("skyherd-recommendations", "Skyherd: recommendations and savings", "What is worth doing and what it would save.", recommendations(), False),
    }


def main():
    check = "--check" in sys.argv[1:]
    stale = []
    for name, made in boards().items():
        path = FOLDER / f"{name}.json"
        text = json.dumps(made, indent=1) + "\n"
        if check:
            if not path.exists() or path.read_text() != text:
                stale.append(path.name)
        else:
            FOLDER.mkdir(exist_ok=True)
            path.write_text(text)
    if stale:
        sys.exit(f"{', '.join(stale)}: not what boards.py writes; run python3 deploy/grafana/boards.py")


if __name__ == "__main__":
    main()
