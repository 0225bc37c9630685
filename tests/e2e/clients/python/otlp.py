"""Reads messages of OTLP/JSON by the published definitions: unknown fields and wrong types are errors."""

import base64
import json
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def bytes_of(value):
    """Ids are hexadecimal in OTLP, where JSON of protocol buffers has base64."""
    if isinstance(value, list):
        return [bytes_of(one) for one in value]
    if not isinstance(value, dict):
        return value
    ids = {"traceId": 16, "spanId": 8, "parentSpanId": 8}
    read = {}
    for key, one in value.items():
        if key in ids:
            raw = bytes.fromhex(one)
            assert len(raw) == ids[key] and any(raw), (key, one)
            one = base64.b64encode(raw).decode()
        read[key] = bytes_of(one)
    return read


logs = spans = 0
for message in json.load(sys.stdin):
    body = bytes_of(json.loads(message["body"]))
    if message["path"] == "/v1/logs":
        read = json_format.ParseDict(body, ExportLogsServiceRequest())
        logs += sum(len(scope.log_records) for one in read.resource_logs for scope in one.scope_logs)
    elif message["path"] == "/v1/traces":
        read = json_format.ParseDict(body, ExportTraceServiceRequest())
        for one in read.resource_spans:
            for scope in one.scope_spans:
                spans += len(scope.spans)
                assert all(s.start_time_unix_nano <= s.end_time_unix_nano for s in scope.spans)
    else:
        sys.exit(f"nothing is sent to {message['path']}")
print("logs", logs, "spans", spans)
