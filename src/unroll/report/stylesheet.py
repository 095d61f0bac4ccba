"""The stylesheet of the report: light, dark and print from the same colours as the charts."""

from __future__ import annotations

from unroll.report.style import LOOKS

_PAPER = {
    "light": "--ink:#111827;--soft:#4B5563;--line:#E5E7EB;--shade:#F6F7F9;--link:#0B5CAD;--warn:#9F1D12;"
    "--warn-shade:#FDF0EE;color-scheme:light;",
    "dark": "--ink:#F3F4F6;--soft:#B4BCC8;--line:#2A3038;--shade:#1C2026;--link:#7CC0F5;--warn:#FFB4A8;"
    "--warn-shade:#33201D;color-scheme:dark;",
}

_RULES = """
*{box-sizing:border-box}
html{background:var(--surface);color:var(--ink);-webkit-text-size-adjust:100%;text-size-adjust:100%;
scroll-behavior:smooth}
body{margin:0 auto;max-width:1100px;padding:28px 70px 72px;
font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Noto Sans KR','Apple SD Gothic Neo',Arial,
sans-serif}
p,li,dd,figcaption,h1,h2,h3,pre,.warn{max-width:72ch}
ul{padding-left:1.2rem}
h1,h2,h3,p,figure,dl,ul{margin:0}
h1,h2,h3{text-wrap:balance;line-height:1.25;overflow-wrap:anywhere}
h1{font-size:1.9rem;font-weight:650;letter-spacing:-.012em;max-width:27em;margin:.3rem 0 .9rem}
h2{font-size:.95rem;font-weight:600;color:var(--soft);margin-bottom:1.6rem}
h3{font-size:1.22rem;font-weight:600;margin-bottom:1.1rem}
section{border-top:1px solid var(--line);margin-top:3.4rem;padding-top:1.5rem;scroll-margin-top:1rem}
section>p+p,section>p+ul{margin-top:.8rem}
p{overflow-wrap:anywhere}
a{color:var(--link)}
a:focus-visible,summary:focus-visible,.scroll:focus-visible,label:focus-within{
outline:2px solid var(--link);outline-offset:2px;border-radius:3px}
header{display:flex;flex-wrap:wrap;gap:.6rem 2rem;align-items:baseline;justify-content:space-between;
font-size:.9rem;color:var(--soft)}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem}
nav a{color:inherit;text-decoration:none;padding:.2rem 0}
nav a:hover{color:var(--ink);text-decoration:underline}
fieldset{display:none;border:0;margin:0;padding:0;gap:.9rem}
@supports selector(:has(a)){fieldset{display:flex}}
legend{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
label{cursor:pointer;padding:.2rem 0}
label input{position:absolute;opacity:0;width:1px;height:1px}
label:has(:checked){color:var(--ink);font-weight:600}
main>.eyebrow{margin-top:3rem}
.eyebrow,.quiet,figcaption{color:var(--soft);font-size:.9rem}
.lead{font-size:1.12rem;margin-bottom:.6rem}
.facts{color:var(--soft);margin:1.2rem 0 0}
.warn{color:var(--warn);background:var(--warn-shade);border-left:3px solid;padding:.6rem .9rem;margin:.9rem 0}
.note{background:var(--shade);padding:.7rem .9rem;border-radius:4px}
section>div+div,section>div+figure,section>figure+div,figure+figure,figure+.note,.note+figure,figure+details,.scroll+details{margin-top:3rem}
.scroll+.facts,.scroll+.quiet{margin-top:1rem}
tbody th.long{white-space:normal;overflow-wrap:anywhere;min-width:11rem;max-width:34rem}
figcaption{margin-top:1rem}
figure svg{display:block;width:100%;height:auto}
figure svg text{font-family:inherit;font-variant-numeric:tabular-nums}
.narrow{display:none}
details{margin-top:.9rem;font-size:.9rem}
summary{cursor:pointer;color:var(--link);width:max-content;max-width:100%}
details p{margin:.5rem 0}
.scroll{overflow:auto;max-height:26rem}
.answer .scroll{max-height:none}
table{border-collapse:separate;border-spacing:0;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{text-align:right;padding:.32rem 0 .32rem 1.6rem;white-space:nowrap;vertical-align:baseline;font-weight:400}
th:first-child{text-align:left;padding-left:0}
thead th{color:var(--soft);border-bottom:1px solid var(--line);position:sticky;top:0;background:var(--surface);
vertical-align:bottom;white-space:normal;max-width:12rem}
.answer table{font-size:1rem;width:100%;margin-top:2rem}
.answer td,.answer th{padding-top:.5rem;padding-bottom:.5rem}
.answer tbody th.long{white-space:normal;overflow-wrap:anywhere;min-width:12rem;max-width:20rem}
.config{font-size:1rem;margin:1.4rem 0 .6rem}
.answer .chosen th,.answer .chosen td{font-weight:650}
.answer .base th,.answer .base td{color:var(--soft)}
.answer .first td,.answer .first th{border-top:1px solid var(--line)}
.mark{width:.8rem;height:.8rem;margin-right:.55rem;vertical-align:-.06rem}
pre{background:var(--shade);padding:.8rem 1rem;border-radius:4px;overflow:auto;margin:0 0 1.4rem;white-space:pre-wrap;
overflow-wrap:anywhere;max-height:24rem}
code,pre{font:.88rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}
p code,li code,h1 code,dd code{white-space:nowrap}
h1 code{font:inherit}
dl>div{display:grid;grid-template-columns:13rem minmax(0,1fr);gap:0 1.5rem;padding:.45rem 0}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
#definitions dt{color:var(--ink);font-weight:600}
@media screen and (max-width:720px){
body{padding:18px 16px 48px}
h1{font-size:1.5rem}
main>.eyebrow{margin-top:1.8rem}
section{margin-top:2.6rem}
.wide{display:none}.narrow{display:block}
dl>div{grid-template-columns:1fr;padding:.55rem 0}
.answer table{font-size:.92rem}
.answer thead th{white-space:nowrap}
.answer tbody th:first-child{position:sticky;left:0;background:var(--surface)}
}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
@page{size:A4;margin:16mm 15mm 18mm}
@media print{
body{max-width:none;padding:0;font-size:10pt;line-height:1.45}
header,details,.narrow{display:none}
main>.eyebrow{margin-top:0}
h1{font-size:19pt}h3{font-size:12.5pt}
section{margin-top:1.6rem;padding-top:1rem}
figure+figure{margin-top:1.6rem}
h2,h3{break-after:avoid}
h2{margin-bottom:.8rem}
figure,dl>div,tr,.warn{break-inside:avoid}
.scroll,pre{overflow:visible;max-height:none}
.answer table{font-size:9.5pt;margin-top:1rem}
.answer td,.answer th+th{padding-left:.8rem}
dl>div{grid-template-columns:10rem minmax(0,1fr)}
.answer tbody th.long{min-width:0}
p,li,dd,figcaption,h1,h2,h3,pre{max-width:none}
.warn,.note,pre{-webkit-print-color-adjust:exact;print-color-adjust:exact}
svg{-webkit-print-color-adjust:exact;print-color-adjust:exact}
}
"""


def stylesheet() -> str:
    """Every colour once as a variable for each theme; the charts' light colours are led to the variables."""
    light, dark = (
        _PAPER[theme] + "".join(f"--{look.name}:{getattr(look, theme)};" for look in LOOKS)
        for theme in ("light", "dark")
    )
    themes = (
        f":root{{{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        f"@media screen{{:root:has(#theme-light:checked){{{light}}}:root:has(#theme-dark:checked){{{dark}}}}}\n"
    )
    painted = "\n".join(
        f'svg [fill="{look.light}"]{{fill:var(--{look.name})}}svg [stroke="{look.light}"]{{stroke:var(--{look.name})}}'
        for look in LOOKS
    )
    return f"{themes}{painted}{_RULES}"
