export { floor as default } from "./rivals.mjs";
