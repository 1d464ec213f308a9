"""Buckets of the S3 server for tests, and a machine on which nothing but this machine can be reached."""

from __future__ import annotations

import _socket
import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

CREDENTIALS = "AWS_PROFILE AWS_SESSION_TOKEN AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_ENDPOINT_URL_S3"


def only_this_machine(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let connections to this machine through, and no other; nobody's own credentials are found. nowhere: no file."""

    def connect(self: socket.socket, address: Any) -> None:
        here = self.family == socket.AF_UNIX or address[0].startswith("127.")
        assert here, "curate must not use the network"
        _socket.socket.connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(nowhere))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(nowhere))
    for name in CREDENTIALS.split():
        monkeypatch.delenv(name, raising=False)


def client_of(server: dict[str, str]) -> Any:
    """AWS's own client. server: the variables with which it is found."""
    from botocore.session import get_session

    return get_session().create_client(
        "s3",
        region_name=server["AWS_DEFAULT_REGION"],
        endpoint_url=server["AWS_ENDPOINT_URL"],
        aws_access_key_id=server["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=server["AWS_SECRET_ACCESS_KEY"],
    )


class Bucket:
    """A bucket of its own for a test, seen by AWS's own client."""

    def __init__(self, name: str, client: Any) -> None:
        self.name, self.client = name, client
        client.create_bucket(Bucket=name)

    def url(self, name: str = "") -> str:
        return f"s3://{self.name}/{name}"

    def put(self, key: str, data: bytes = b"x") -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return data

    def remove(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def all(self) -> list[str]:
        return [one["Key"] for one in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]


def new_bucket(server: dict[str, str], client: Any, monkeypatch: pytest.MonkeyPatch, seed: object) -> Bucket:
    """An empty bucket, with the variables set with which curate finds it. seed: text unlike that of other tests."""
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    return Bucket("b" + hashlib.sha256(str(seed).encode()).hexdigest()[:16], client)
