"""Real servers on loopback, as context managers with their own folder and free port."""

from tests.services.azure import Azure
from tests.services.blackhole import BlackHole
from tests.services.caddy import Caddy
from tests.services.certificate import Certificate
from tests.services.forwarder import Forwarder
from tests.services.gcs import GCS
from tests.services.memcached import Memcached
from tests.services.mysql import MariaDB
from tests.services.nginx import Nginx
from tests.services.openid import OpenIDProvider
from tests.services.otlp import OTLPReceiver
from tests.services.pgbouncer import PgBouncer
from tests.services.postgresql import PostgreSQL
from tests.services.process import NotInstalledError, Process, free_port, wait_until
from tests.services.prometheus import Prometheus
from tests.services.proxy import Proxy
from tests.services.rabbitmq import RabbitMQ
from tests.services.redis import Redis
from tests.services.s3 import S3
from tests.services.sentry import SentrySink
from tests.services.service import Server, Service
from tests.services.smtp import SMTP, Mailbox

__all__ = [
    "GCS",
    "S3",
    "SMTP",
    "Azure",
    "BlackHole",
    "Caddy",
    "Certificate",
    "Forwarder",
    "Mailbox",
    "MariaDB",
    "Memcached",
    "Nginx",
    "NotInstalledError",
    "OTLPReceiver",
    "OpenIDProvider",
    "PgBouncer",
    "PostgreSQL",
    "Process",
    "Prometheus",
    "Proxy",
    "RabbitMQ",
    "Redis",
    "SentrySink",
    "Server",
    "Service",
    "free_port",
    "wait_until",
]
