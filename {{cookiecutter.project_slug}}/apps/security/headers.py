"""The Content-Security-Policy, put together once where it is the same for every response."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware import csp
from django.utils.csp import build_policy


class ContentSecurityPolicyMiddleware(csp.ContentSecurityPolicyMiddleware):
    """Django's middleware, which builds the policy anew for responses that no template gave a nonce to."""

    policy: dict[str, list[str]] | None = None
    header = ""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        overridden = hasattr(response, "_csp_config") or hasattr(response, "_csp_ro_config")
        if overridden or settings.SECURE_CSP_REPORT_ONLY or csp.get_nonce(request):
            return super().process_response(request, response)
        if self.policy is not settings.SECURE_CSP:
            self.policy, self.header = settings.SECURE_CSP, build_policy(settings.SECURE_CSP)
        if self.header:
            response.headers.setdefault("Content-Security-Policy", self.header)
        return response
