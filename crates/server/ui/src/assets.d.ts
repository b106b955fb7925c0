declare module '*.png' {
  const url: string;
  export default url;
}
/** The address of KaTeX's style sheet; build.mjs sets it. */
declare const KATEX_CSS: string;
