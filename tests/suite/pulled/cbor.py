"""Stands before moto and speaks the CBOR protocol in which the SDKs ask CloudWatch and which moto does
not know; botocore reads the questions and asks moto. Questions of Cost Explorer and Budgets are answered
as a test laid down (POST /answers/OPERATION): a list of answers in turn, the last one again and again,
each of a status and a body or of pages by their tokens. Without any, what moto does not know of Cost
Explorer has no data, as AWS says it. Composite alarms, which moto cannot make, are laid down likewise
(POST /answers/CompositeAlarms) and are a second page; percentiles are reckoned here. Everything else is passed on.

Arguments: the port to listen on, moto's URL."""

import datetime
import json
import math
import struct
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.parsers import RpcV2CBORParser

MOTO = sys.argv[2]
ANSWERS = {}
NO_DATA = {"__type": "DataUnavailableException", "message": "The requested data is unavailable."}
UNKNOWN_TO_MOTO = {"GetAnomalies", "GetCostForecast", "GetReservationCoverage", "GetReservationUtilization",
                   "GetRightsizingRecommendation", "GetSavingsPlansCoverage", "GetSavingsPlansUtilization"}
PARSER = RpcV2CBORParser()


def head(major, number):
    for width, code, form in ((0, None, None), (1, 24, ">B"), (2, 25, ">H"), (4, 26, ">I"), (8, 27, ">Q")):
        if width == 0 and number < 24:
            return bytes([major << 5 | number])
        if width and number < 1 << 8 * width:
            return bytes([major << 5 | code]) + struct.pack(form, number)
    raise ValueError(number)


def encode(value):
    if value is True or value is False:
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, datetime.datetime):
        return b"\xc1" + encode(value.timestamp())
    if isinstance(value, (list, tuple)):
        return head(4, len(value)) + b"".join(map(encode, value))
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(encode(name) + encode(one) for name, one in value.items())
    raise TypeError(type(value))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if "/operation/" in self.path:
            return self.cloudwatch(self.path.rsplit("/", 1)[1], body)
        if self.path.startswith("/answers/"):
            ANSWERS[self.path.rsplit("/", 1)[1]] = json.loads(body)
            return self.answer(200, [], b"")
        operation = (self.headers.get("x-amz-target") or "").rsplit(".", 1)[-1]
        if operation in ANSWERS or operation in UNKNOWN_TO_MOTO:
            return self.laid_down(operation, json.loads(body))
        self.passed_on(body)

    def do_GET(self):
        self.passed_on(None)

    def passed_on(self, body):
        request = urllib.request.Request(MOTO + self.path, data=body, headers=dict(self.headers), method=self.command)
        try:
            with urllib.request.urlopen(request) as reply:
                status, headers, body = reply.status, reply.headers, reply.read()
        except urllib.error.HTTPError as error:
            status, headers, body = error.code, error.headers, error.read()
        drop = ("content-length", "connection", "transfer-encoding")
        self.answer(status, [pair for pair in headers.items() if pair[0].lower() not in drop], body)

    def laid_down(self, operation, asked):
        answers = ANSWERS.get(operation) or [{"status": 400, "body": NO_DATA}]
        token = asked.get("NextPageToken") or asked.get("NextToken") or ""
        reply = answers[0]
        told = reply["pages"][token] if "pages" in reply else reply["body"]
        more = told.get("NextPageToken") or told.get("NextToken")
        if len(answers) > 1 and not more:
            answers.pop(0)
        form = [("content-type", "application/x-amz-json-1.1")]
        self.answer(reply.get("status", 200), form, json.dumps(told).encode())

    def alarms(self, asked, reply):
        if "NextToken" not in asked:
            return {"MetricAlarms": reply["MetricAlarms"], "CompositeAlarms": [], "NextToken": "composite"}
        # CloudWatch leaves composite alarms out where they are not named.
        named = "CompositeAlarm" in asked.get("AlarmTypes", [])
        composite = [dict(alarm) for alarm in ANSWERS["CompositeAlarms"] if named]
        for alarm in composite:
            at = datetime.datetime.fromisoformat(alarm["StateUpdatedTimestamp"])
            alarm["StateUpdatedTimestamp"] = at
        return {"MetricAlarms": [], "CompositeAlarms": composite}

    def percentiles(self, client, asked):
        """Percentiles are reckoned from moto's samples, second by second: the nearest rank."""
        queries = asked["MetricDataQueries"]
        shares = [query for query in queries if query["MetricStat"]["Stat"].startswith("p")]
        reply = client.get_metric_data(**{**asked, "MetricDataQueries": [query for query in queries if query not in shares]})
        for query in shares:
            stat = query["MetricStat"]
            each = {"Id": query["Id"], "MetricStat": {**stat, "Stat": "Average", "Period": 1}}
            samples = client.get_metric_data(**{**asked, "MetricDataQueries": [each]})["MetricDataResults"][0]
            periods = {}
            for at, value in zip(samples["Timestamps"], samples["Values"]):
                periods.setdefault(int(at.timestamp()) // stat["Period"] * stat["Period"], []).append(value)
            begins, share = sorted(periods), float(stat["Stat"][1:])
            reply["MetricDataResults"].append({"Id": query["Id"], "Label": query["Id"], "StatusCode": "Complete",
                "Timestamps": [datetime.datetime.fromtimestamp(begin, datetime.timezone.utc) for begin in begins],
                "Values": [sorted(periods[begin])[math.ceil(len(periods[begin]) * share / 100) - 1] for begin in begins]})
        return reply

    def cloudwatch(self, operation, body):
        asked = PARSER.parse_data_item(PARSER.get_peekable_stream_from_bytes(body)) if body else {}
        for name in ("StartTime", "EndTime"):
            if name in asked and not isinstance(asked[name], datetime.datetime):
                asked[name] = datetime.datetime.fromtimestamp(float(asked[name]), datetime.timezone.utc)
        region = self.headers["authorization"].split("/")[2]
        client = boto3.client("cloudwatch", region_name=region, endpoint_url=MOTO)
        form = [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")]
        try:
            known = {name: value for name, value in asked.items() if name != "NextToken"}
            if operation == "GetMetricData":
                reply = self.percentiles(client, asked)
            else:
                reply = getattr(client, xform_name(operation))(**(known if operation == "DescribeAlarms" else asked))
            reply.pop("ResponseMetadata", None)
            if operation == "DescribeAlarms" and "CompositeAlarms" in ANSWERS:
                reply = self.alarms(asked, reply)
            self.answer(200, form, encode(reply))
        except ClientError as error:
            told = {"__type": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
            self.answer(400, form, encode(told))


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
