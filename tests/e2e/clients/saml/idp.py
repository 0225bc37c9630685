"""A SAML identity provider: pysaml2, signing and encrypting with xmlsec1. Listens on loopback.

Started with a directory for its files and the name it is called by. Says first where it is and where its metadata is, as a line of JSON. Takes lines of JSON with settings, and says
`{}` to each: `gateway`, whose metadata it then reads over HTTP; `encrypt`, `sign_response`, `sign_assertion`,
`cipher`, `sha1`, `lifetime` (seconds), `session` (seconds from now), `transient`, `rotate` (a new key, behind the old one in
its metadata). Whoever logs in as `ana.dba.admins` is of the groups `dba` and `admins`. Ends with its input.
"""

import base64
import datetime
import functools
import html
import json
import subprocess
import sys
import threading
import traceback
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import saml2.entity
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT, saml, xmldsig
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.server import Server
from saml2.sigver import SecurityContext

folder = Path(sys.argv[1])
settings = {"sign_assertion": True, "lifetime": 300, "cipher": "http://www.w3.org/2009/xmlenc11#aes256-gcm"}
state = {}

# What it encrypts with is not to be configured, and by default Triple DES.
template, encrypt_assertion = saml2.entity.pre_encryption_part, SecurityContext.encrypt_assertion
saml2.entity.pre_encryption_part = lambda **more: template(msg_enc=settings["cipher"], **more)
SecurityContext.encrypt_assertion = functools.partialmethod(encrypt_assertion, key_type="aes-256")


def generate(name):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}"]
        + ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"],
        check=True,
        capture_output=True,
    )
    return name


def configure():
    base = state["base"]
    former = [{"cert_file": str(folder / f"{name}.pem")} for name in state["keys"][:-1]]
    config = IdPConfig().load(
        {
            "entityid": f"{base}/metadata",
            "xmlsec_binary": "/usr/bin/xmlsec1",
            "key_file": str(folder / f"{state['keys'][-1]}.key"),
            "cert_file": str(folder / f"{state['keys'][-1]}.pem"),
            "metadata": {"local": [state["sp"]]} if "sp" in state else {},
            "service": {
                "idp": {
                    "endpoints": {"single_sign_on_service": [(f"{base}/sso", BINDING_HTTP_REDIRECT)]},
                    "policy": {"default": {"lifetime": {"seconds": settings["lifetime"]}, "attribute_restrictions": None}},
                    "want_authn_requests_signed": state.get("signs", False),
                }
            },
        }
    )
    state["server"] = Server(config=config)
    text = str(entity_descriptor(config))
    for former_key in former:
        # For rollover, both are in the metadata, the new one first.
        certificate = "".join(Path(former_key["cert_file"]).read_text().splitlines()[1:-1])
        descriptor = (
            '<ns0:KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data>'
            f"<X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo></ns0:KeyDescriptor>"
        )
        text = text.replace("<ns0:SingleSignOnService", descriptor + "<ns0:SingleSignOnService", 1)
    (folder / "idp.xml").write_text(text)


def response(login, request_id, acs, sp):
    server = state["server"]
    subject, *groups = login.split(".")
    kind = saml.NAMEID_FORMAT_TRANSIENT if settings.get("transient") else saml.NAMEID_FORMAT_PERSISTENT
    session = None
    if "session" in settings:
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=settings["session"])
        session = until.strftime("%Y-%m-%dT%H:%M:%SZ")
    sha1 = settings.get("sha1")
    return str(
        server.create_authn_response(
            {"groups": groups, "displayName": [subject.capitalize()]},
            request_id,
            acs,
            sp,
            name_id=saml.NameID(
                format=kind, name_qualifier=server.config.entityid, sp_name_qualifier=sp, text=f"u-{subject}"
            ),
            authn={"class_ref": saml.AUTHN_PASSWORD, "authn_auth": state["base"]},
            sign_response=settings.get("sign_response", False),
            sign_assertion=settings["sign_assertion"],
            encrypt_assertion=settings.get("encrypt", False),
            sign_alg=xmldsig.SIG_RSA_SHA1 if sha1 else xmldsig.SIG_RSA_SHA256,
            digest_alg=xmldsig.DIGEST_SHA1 if sha1 else xmldsig.DIGEST_SHA256,
            session_not_on_or_after=session,
        )
    )


class Pages(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def page(self, text, status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def posting(self, action, fields, more=""):
        hidden = "".join(
            f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in fields.items()
        )
        self.page(f'<form method="post" action="{html.escape(action)}">{hidden}{more}<button>Go</button></form>')

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/sso":
            self.posting("/sso", query, '<input name="login"><input type="password" name="password">')
        elif url.path == "/unsolicited":
            server = state["server"]
            sp = next(iter(server.metadata.with_descriptor("spsso")))
            acs = server.metadata.assertion_consumer_service(sp, BINDING_HTTP_POST)[0]["location"]
            self.answer(response(query["login"], None, acs, sp), acs, query.get("RelayState", ""))
        else:
            self.page("nothing here", 404)

    def do_POST(self):
        try:
            self.sign_on()
        except Exception:
            self.page(f"<pre>{html.escape(traceback.format_exc())}</pre>", 500)

    def sign_on(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = dict(urllib.parse.parse_qsl(body))
        server = state["server"]
        asked = server.parse_authn_request(
            form["SAMLRequest"],
            BINDING_HTTP_REDIRECT,
            relay_state=form["RelayState"],
            sigalg=form.get("SigAlg"),
            signature=form.get("Signature"),
        )
        args = server.response_args(asked.message)
        text = response(form["login"], args["in_response_to"], args["destination"], args["sp_entity_id"])
        self.answer(text, args["destination"], form["RelayState"])

    def answer(self, text, acs, relay_state):
        fields = {"SAMLResponse": base64.b64encode(text.encode()).decode()}
        self.posting(acs, fields | ({"RelayState": relay_state} if relay_state else {}))


listener = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
state["base"] = f"http://{sys.argv[2]}:{listener.server_port}"
state["keys"] = [generate("first")]
configure()
threading.Thread(target=listener.serve_forever, daemon=True).start()
print(json.dumps({"entity": f"{state['base']}/metadata", "metadata": str(folder / "idp.xml")}), flush=True)
for line in sys.stdin:
    told = json.loads(line)
    if "gateway" in told:
        with urllib.request.urlopen(f"{told.pop('gateway')}/auth/saml/metadata") as answer:
            (folder / "sp.xml").write_bytes(answer.read())
        state["sp"] = str(folder / "sp.xml")
        # Where the gateway says that it signs its requests, it has to.
        state["signs"] = 'AuthnRequestsSigned="true"' in (folder / "sp.xml").read_text()
    if told.pop("rotate", False):
        state["keys"].append(generate(f"key{len(state['keys'])}"))
    settings.update(told)
    configure()
    print("{}", flush=True)
