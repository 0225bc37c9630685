"""A mail server for tests: aiosmtpd, with STARTTLS (or TLS at once) and AUTH.

server.py MODE CERTIFICATE KEY, where MODE is starttls, implicit, bare or none; bare offers no STARTTLS
though it wants a log-in. Prints {"port": N}, then each message it takes as one line of JSON. A file
"refuse" beside the certificate holds answers to give to the next messages instead, one a line.
"""

import asyncio
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER, PASSWORD = b"gateway", b"let me in"


def say(**what):
    print(json.dumps(what), flush=True)


class Handler:
    def __init__(self, refuse):
        self.refuse = refuse

    async def handle_DATA(self, server, session, envelope):
        if os.path.exists(self.refuse):
            answers = open(self.refuse).read().splitlines()
            if answers:
                with open(self.refuse, "w") as rest:
                    rest.write("\n".join(answers[1:]))
                return answers[0]
        say(
            sender=envelope.mail_from,
            to=envelope.rcpt_tos,
            tls=session.ssl is not None,
            authenticated=bool(session.authenticated),
            text=envelope.content.decode("ascii"),
        )
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER, PASSWORD)
    # Not handled: the library then answers 535 itself.
    return AuthResult(success=good, handled=False)


def main():
    mode, certificate, key = sys.argv[1:4]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    login = {"authenticator": authenticate, "auth_required": mode != "none"}
    if mode == "starttls":
        login |= {"tls_context": context, "require_starttls": True}
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    handler = Handler(os.path.join(os.path.dirname(certificate), "refuse"))
    # TLS from the first byte does not count as TLS for the library, which then offers no AUTH.
    plain = {} if mode == "starttls" else {"auth_require_tls": False}
    made = lambda: SMTP(handler, loop=loop, **login, **plain)
    serving = loop.create_server(made, "127.0.0.1", 0, ssl=context if mode == "implicit" else None)
    server = loop.run_until_complete(serving)
    say(port=server.sockets[0].getsockname()[1])
    loop.run_forever()


main()
