# Python's ssl: asks for each URL under one version of TLS, and says which it got an answer from.
# Arguments: PEM of the authority, PEM of a client's certificate, its key; jobs as JSON on standard input.
import json
import socket
import ssl
import sys

authority, certificate, key = sys.argv[1:4]


def get(context, job, session):
    with socket.create_connection(("127.0.0.1", job["port"]), 30) as plain:
        with context.wrap_socket(plain, server_hostname="localhost", session=session) as tls:
            head = f"GET {job['path']} HTTP/1.1\r\nHost: localhost:{job['port']}\r\nConnection: close\r\n\r\n"
            tls.sendall(head.encode())
            answer = b""
            while data := tls.recv(65536):
                answer += data
            return answer.startswith(b"HTTP/1.1 200"), tls.session


def run(job):
    context = ssl.create_default_context(cafile=authority)
    version = ssl.TLSVersion.TLSv1_3 if job["version"] == "1.3" else ssl.TLSVersion.TLSv1_2
    context.minimum_version = context.maximum_version = version
    if job["certificate"]:
        context.load_cert_chain(certificate, key)
    session = None
    served = True
    for _ in range(job["times"]):
        try:
            answered, session = get(context, job, session)
            served = served and answered
        except OSError:
            served = False
    return served


print(json.dumps([run(job) for job in json.load(sys.stdin)]))
