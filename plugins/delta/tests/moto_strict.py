"""An S3 server for tests: moto, with conditional puts made atomic (its own check and write are two steps).

    moto_strict.py PORT
"""
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

application = DomainDispatcherApplication(create_backend_app)
one_at_a_time = threading.Lock()


def entry(environment, start_response):
    if environment.get("HTTP_IF_NONE_MATCH") or environment.get("HTTP_IF_MATCH"):
        with one_at_a_time:
            return list(application(environment, start_response))
    return application(environment, start_response)


run_simple("127.0.0.1", int(sys.argv[1]), entry, threaded=True)
