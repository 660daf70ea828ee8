"""AWS errors in the shape that each service gives them, and an answer that is none."""

from .call import Call

TEXT = "refused by a fault of the emulated world"


def refusal(call: Call, status: int, code: str, text: str = TEXT) -> tuple[str, list[tuple[str, str]], bytes]:
    """A WSGI status line, headers and body for this error."""
    if call.service == "s3":
        body = f"<Error><Code>{code}</Code><Message>{text}</Message><RequestId>W</RequestId></Error>"
    elif call.service == "ec2":
        error = f"<Error><Code>{code}</Code><Message>{text}</Message></Error>"
        body = f"<Response><Errors>{error}</Errors><RequestID>W</RequestID></Response>"
    elif call.service in ("autoscaling", "iam", "sts"):
        kind = "Sender" if status < 500 else "Receiver"
        body = (
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code><Message>{text}</Message></Error>"
            "<RequestId>W</RequestId></ErrorResponse>"
        )
    else:
        body = f'{{"__type": "{code}", "message": "{text}"}}'
        return f"{status} {code}", _headers("application/x-amz-json-1.1", body), body.encode()
    body = '<?xml version="1.0" encoding="UTF-8"?>\n' + body
    return f"{status} {code}", _headers("text/xml", body), body.encode()


def nobody() -> tuple[str, list[tuple[str, str]], bytes]:
    """What EC2 answers in a Region or account that has none of the instances asked for."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">'
        "<requestId>W</requestId><reservationSet/></DescribeInstancesResponse>"
    )
    return "200 OK", _headers("text/xml", body), body.encode()


def _headers(kind: str, body: str) -> list[tuple[str, str]]:
    return [("Content-Type", kind), ("Content-Length", str(len(body.encode()))), ("x-amzn-requestid", "W")]
