// Holds an OpenAPI document, read from standard input, against the specification and Redocly's rules. Prints each problem
// on a line of its own; without any, nothing.
import { text } from "node:stream/consumers";
import { env, stdin } from "node:process";
import { pathToFileURL } from "node:url";

const library = `${env.KEYWARD_NODE_MODULES}/@redocly/openapi-core/lib/index.js`;
const { createConfig, lintFromString } = await import(pathToFileURL(library));

const config = await createConfig({
  extends: ["recommended-strict"],
  rules: {
    // What everybody may read, without a parameter, can't be asked for wrongly.
    "operation-4xx-response": "off",
    "no-invalid-media-type-examples": "error",
    "no-invalid-parameter-examples": "error",
    "no-invalid-schema-examples": "error",
    "operation-operationId-unique": "error",
  },
});
const problems = await lintFromString({
  source: await text(stdin),
  absoluteRef: "openapi.json",
  config,
});
for (const { ruleId, message, location } of problems) {
  console.log(ruleId, location.map(({ pointer }) => pointer).join(" "), message.replaceAll("\n", " "));
}
