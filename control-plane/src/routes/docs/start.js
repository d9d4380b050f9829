// Starts Swagger UI. A token that is entered stays in the page's memory.
window.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#documentation",
  deepLinking: true,
  displayOperationId: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  // Else the document's address would be sent to an online validator.
  validatorUrl: null,
});
