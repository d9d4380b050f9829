export { empty as default } from "./rivals.mjs";
