"""A server that speaks S3, with one empty bucket, on a free port of loopback.

Says `ready <port>` when it serves, and serves until its input ends.
"""

import sys

import boto3
from moto.server import ThreadedMotoServer


def main() -> None:
    bucket = sys.argv[1]
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=f"http://{host}:{port}", **keys).create_bucket(Bucket=bucket)
    print(f"ready {port}", flush=True)
    sys.stdin.read()
    server.stop()


main()
