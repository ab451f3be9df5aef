/* Start Swagger UI: the Content-Security-Policy allows no inline script. */

const { schemaUrl, csrfToken } = document.getElementById("docs").dataset;

SwaggerUIBundle({
  dom_id: "#docs",
  url: schemaUrl,
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
  // The default sends the address of the schema to a validator on another site.
  validatorUrl: null,
  // A request of a logged-in user needs the CSRF token, like a form.
  requestInterceptor: (request) => {
    if (new URL(request.url, location.href).origin === location.origin) {
      request.headers["X-CSRFToken"] = csrfToken;
    }
    return request;
  },
});
