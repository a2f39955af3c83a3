/** The text that is streamed and opened: what answers are made of, 20,000 characters of it. */

const SECTION = (n: number): string => `## Part ${n}: what moves the sea

The **moon** pulls on the water, and so does the *sun*; see [the tables](https://example.org/tides/${n}). 这一段是中文，用来测量混排的**“代价”**。

- first, a point with \`inline code\`
- then another, with a formula $a_${n}^2 + b^2 = c^2$
  - and a nested one

\`\`\`rust
/// The height of the water at hour ${n}.
fn height(hours: f64, range: f64) -> f64 {
    let phase = hours / 12.42 * std::f64::consts::TAU;
    range / 2.0 * phase.cos() // metres
}
\`\`\`

| place | range | note |
|---|---:|---|
| Fundy | ${n} m | highest |
| Venice | 1 m | 较小 |

$$
\\int_0^{${n}} x^2 \\, dx = \\frac{${n}^3}{3}
$$

A last paragraph of this part goes on for a while, so that there is plain text to lay out as well, as in any answer.

`;

/** About `length` characters of mixed markdown that ends at the end of a part. */
export function sample(length: number): string {
  let text = "";
  for (let part = 1; text.length < length; part += 1) text += SECTION(part);
  return text.trimEnd();
}
