"""What Slack's own library has to say: it signs as Slack does, and reads messages as Slack does.

slack.py sign SECRET TIMESTAMP: prints the signature over the body that comes in.
slack.py blocks: reads a message of chat.postMessage, and prints what its blocks are; fails where one of them
is none that there is.
"""

import json
import sys

from slack_sdk.models.blocks import Block
from slack_sdk.signature import SignatureVerifier

what, *more = sys.argv[1:]
came = sys.stdin.read()
if what == "sign":
    secret, timestamp = more
    print(SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=came))
else:
    blocks = Block.parse_all(json.loads(came)["blocks"])
    for block in blocks:
        if block is None:
            raise SystemExit("a block that there is not")
        block.validate_json()
    print(json.dumps([block.type for block in blocks]))
