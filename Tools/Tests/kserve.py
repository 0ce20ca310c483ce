"""A client of the Open Inference Protocol with binary tensors, and .npy files: standard library only.

Written without any of Tessera's own code, so that what it reads is what any other client reads.
"""

import ast
import http.client
import json
import math
import struct

# Protocol's name and bytes of an element, by NumPy's name of the type.
TYPES = {
    "|b1": ("BOOL", 1), "|i1": ("INT8", 1), "|u1": ("UINT8", 1), "<i2": ("INT16", 2),
    "<u2": ("UINT16", 2), "<f2": ("FP16", 2), "<i4": ("INT32", 4), "<u4": ("UINT32", 4),
    "<f4": ("FP32", 4), "<i8": ("INT64", 8), "<u8": ("UINT64", 8), "<f8": ("FP64", 8),
}
LENGTH_FIELD = "Inference-Header-Content-Length"


class Array:
    """The bytes of an array with NumPy's name of its type and its shape."""

    def __init__(self, descr, shape, data):
        self.descr, self.shape, self.data = descr, tuple(shape), data

    def items(self):
        """The parts along the first axis, each as an array whose first extent is 1."""
        size = len(self.data) // self.shape[0]
        return [Array(self.descr, (1,) + self.shape[1:], self.data[i * size:(i + 1) * size])
                for i in range(self.shape[0])]

    def integers(self):
        """The elements of an array of 64-bit integers."""
        assert self.descr == "<i8", self.descr
        return list(struct.unpack(f"<{len(self.data) // 8}q", self.data))


def floats(data):
    """The elements of 32-bit floats."""
    return struct.unpack(f"<{len(data) // 4}f", data)


def load(path):
    """Reads a .npy file of version 1."""
    with open(path, "rb") as file:
        content = file.read()
    assert content[:8] == b"\x93NUMPY\x01\x00", path
    end = 10 + struct.unpack("<H", content[8:10])[0]
    header = ast.literal_eval(content[10:end].decode("latin1"))
    assert not header["fortran_order"], path
    return Array(header["descr"], header["shape"], content[end:])


def save(path, array):
    """Writes a .npy file of version 1."""
    header = repr({"descr": array.descr, "fortran_order": False, "shape": array.shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + array.data)


class Refused(Exception):
    """The agent answered, with something else than a result."""

    def __init__(self, status, reason):
        super().__init__(f"HTTP {status}: {reason}")
        self.status, self.reason = status, reason


class Answer:
    """The outputs of a request, by name, and what the answer says of itself."""

    def __init__(self, outputs, parameters):
        self.outputs, self.parameters = outputs, parameters


class Client:
    """One connection to one agent; not for several threads at once."""

    def __init__(self, host, port, timeout=40):
        self.host, self.port, self.timeout = host, port, timeout
        self.connection = None

    def close(self):
        """Closes the connection; the next call opens another."""
        if self.connection:
            self.connection.close()
        self.connection = None

    def call(self, method, path, body=None, headers=None):
        """Gives status, header fields and body. Raises OSError or HTTPException if the agent is
        not there or goes away."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection(
                self.host, self.port, timeout=self.timeout)
        try:
            self.connection.request(method, path, body, headers or {})
            response = self.connection.getresponse()
            return response.status, response.headers, response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def infer(self, model, inputs, outputs=None, deadline=None):
        """Runs one item; `inputs` are arrays by name, `deadline` seconds, the agent's own if None."""
        header, data = {"inputs": [], "parameters": {"binary_data_output": True}}, b""
        if deadline:
            header["parameters"]["timeout"] = round(deadline * 1e6)
        for name, array in inputs.items():
            datatype, size = TYPES[array.descr]
            assert len(array.data) == math.prod(array.shape) * size
            header["inputs"].append({
                "name": name, "datatype": datatype, "shape": list(array.shape),
                "parameters": {"binary_data_size": len(array.data)}})
            data += array.data
        if outputs:
            header["outputs"] = [{"name": name} for name in outputs]
        text = json.dumps(header).encode()
        status, fields, body = self.call(
            "POST", f"/v2/models/{model}/infer", text + data,
            {LENGTH_FIELD: str(len(text)), "Content-Type": "application/octet-stream"})
        if status != 200:
            try:
                reason = json.loads(body)["error"]
            except (ValueError, KeyError, TypeError):
                reason = body[:200].decode("utf-8", "replace")
            raise Refused(status, reason)
        return self._answer(body, int(fields[LENGTH_FIELD]))

    @staticmethod
    def _answer(body, length):
        header, rest, result = json.loads(body[:length]), body[length:], {}
        names = {protocol: descr for descr, (protocol, _) in TYPES.items()}
        for output in header["outputs"]:
            size = output["parameters"]["binary_data_size"]
            result[output["name"]] = Array(
                names[output["datatype"]], output["shape"], rest[:size])
            rest = rest[size:]
        assert not rest, "bytes follow the last output"
        return Answer(result, header.get("parameters", {}))
