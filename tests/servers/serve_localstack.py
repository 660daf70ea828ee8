"""LocalStack's S3, alone and in memory, on one address: `python serve_localstack.py FOLDER HOST PORT`.

Its own way to start listens on all addresses of the computer, so that its gateway is served here by werkzeug.
"""

import os
import sys

folder, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
# LocalStack reads its settings when it is imported. Nothing of it may leave this computer.
os.environ.update(SERVICES="s3", STRICT_SERVICE_LOADING="1", DISABLE_EVENTS="1", SKIP_SSL_CERT_DOWNLOAD="1")
os.environ["FILESYSTEM_ROOT"] = folder

from localstack.aws.app import LocalstackAwsGateway  # noqa: E402
from localstack.aws.serving.werkzeug import serve  # noqa: E402

serve(LocalstackAwsGateway(), host, port, use_reloader=False)
