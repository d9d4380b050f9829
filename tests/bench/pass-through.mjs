export { passThrough as default } from "./rivals.mjs";
