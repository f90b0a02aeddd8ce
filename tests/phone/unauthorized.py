"""A phone that asks for authorization and waits for its owner, in adb's own protocol, on one port.

Debian's adbd lets everybody in, so this one state needs a peer that does not: it answers each signature with
another token (AOSP, packages/modules/adb/protocol.txt), as adbd does while nobody has accepted the key.
"""

import os
import socket
import struct
import sys

HEADER = struct.Struct("<6I")
AUTH, TOKEN, PUBLIC_KEY = 0x48545541, 1, 3


def token() -> bytes:
    data = os.urandom(20)
    return HEADER.pack(AUTH, TOKEN, 0, len(data), sum(data), AUTH ^ 0xFFFFFFFF) + data


def serve(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listening:
        connection, _ = listening.accept()
        with connection, connection.makefile("rb") as stream:
            while header := stream.read(HEADER.size):
                command, kind, _, length, _, _ = HEADER.unpack(header)
                stream.read(length)
                if (command, kind) != (AUTH, PUBLIC_KEY):  # the key is shown to the owner, who does nothing
                    connection.sendall(token())


serve(int(sys.argv[1]))
