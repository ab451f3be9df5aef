/* Starts Swagger UI. In a file of its own, because the Content-Security-Policy runs no inline script. */

const { schemaUrl, csrfToken } = document.getElementById("docs").dataset;

SwaggerUIBundle({
  dom_id: "#docs",
  url: schemaUrl,
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
  // By default the schema's address is sent to a validator on somebody else's site.
  validatorUrl: null,
  // What a person who is logged in tries out is checked as any form is.
  requestInterceptor: (request) => {
    if (new URL(request.url, location.href).origin === location.origin) {
      request.headers["X-CSRFToken"] = csrfToken;
    }
    return request;
  },
});
