"""An S3 server for tests, with the sign-in of its cloud beside it: moto, held to what the real one is strict about.

    s3_server.py BUCKET...

It picks a port, makes the buckets, a user, a second user who may do less, and the role of the product's set-up, prints
all that as one line of JSON, and serves until its standard input ends, so that it never outlives who started it.

Two things are added. moto takes any key until it is told otherwise, and is told so as soon as everything is made. And moto
looks whether an object is there before it writes it, in two steps: requests with a condition go through one at a time.
"""

import json
import logging
import os
import sys
import threading
import urllib.request

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

REGION = "us-east-1"
ACCOUNT = "123456789012"
ROLE = "aidbox-staging-role"
CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH")


class OneConditionAtATime:
    """Passes requests on, and lets nobody else decide by a condition while one is decided."""

    def __init__(self, application):
        self.application = application
        self.turn = threading.Lock()

    def __call__(self, environment, start_response):
        if not any(name in environment for name in CONDITIONS):
            return self.application(environment, start_response)
        with self.turn:
            return list(self.application(environment, start_response))


def statement(**parts):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **parts}]})


def make(address, buckets):
    """Everything that is there from the start, and the keys to it."""
    keys = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing"}
    s3, iam = (
        boto3.client(service, endpoint_url=address, region_name=REGION, **keys) for service in ("s3", "iam")
    )
    for bucket in buckets:
        s3.create_bucket(Bucket=bucket)
    role = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
    trust = statement(Action="sts:AssumeRole", Principal={"AWS": "*"})
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName=ROLE, PolicyName="p", PolicyDocument=statement(Action="s3:*", Resource="*"))
    made = {"endpoint": address}
    for user, actions in (("user", ["s3:*", "sts:AssumeRole"]), ("lesser", ["s3:*"])):
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=statement(Action=actions, Resource="*"))
        key = iam.create_access_key(UserName=user)["AccessKey"]
        made[user] = {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    made["role"] = role
    return made


def main():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = OneConditionAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    made = make(address, sys.argv[1:])
    # From the next request on keys are looked at.
    strict = urllib.request.Request(
        f"{address}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"}
    )
    urllib.request.urlopen(strict).read()
    print(json.dumps(made), flush=True)
    sys.stdin.read()
    os._exit(0)


main()
