/** In 20 tasks of each large board and nowhere else. */
export const RARE_WORD = 'zyzzyva';

const COMMON =
  `the a to of and in is for on with when it not that be this from as we after are by an or should has which only
  fix add test error page user list build api server page login board task agent cache file update invoice customer
  payment order report button form mobile slow timeout crash retry log email upload export import search filter sort
  release version config docker image network database query index migration token session permission role header
  client response request status field value null empty wrong missing duplicate broken flaky rename remove refactor
  document translate validate deploy monitor alert metric trace queue worker job schedule webhook callback parser
  encoding unicode timezone currency rounding discount tax shipping address country language theme color layout`.split(
    /\s+/,
  );

const SYLLABLES =
  'ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo zu bra cle dri flo gru kra ple sti tro vra'.split(' ');
const SELDOM_WORDS = 8_000; // names of things, of which every project has its own thousands

/**
 * Texts as people write them on cards: few words make up most of a text, most words are rare (Zipf's law), so that a
 * full-text index has both long and short lists to cope with.
 */
export class Texts {
  private readonly words: string[];

  constructor(private readonly random: () => number) {
    const seldom = new Set<string>();
    while (seldom.size < SELDOM_WORDS) seldom.add(Array.from({ length: 3 }, () => this.oneOf(SYLLABLES)).join(''));
    this.words = [...COMMON, ...seldom];
  }

  /** 3 to 9 words. */
  title(): string {
    return this.some(3 + Math.floor(this.random() * 7));
  }

  /** 10 to 70 words. */
  description(): string {
    return this.some(10 + Math.floor(this.random() * 61));
  }

  private some(count: number): string {
    let text = this.word();
    for (let n = 1; n < count; n++) text += ` ${this.word()}`;
    return text;
  }

  /** The n-th word about 1/n as often as the first: n is spread evenly over the logarithms. */
  private word(): string {
    return this.words[Math.floor(this.words.length ** this.random()) - 1] ?? 'the';
  }

  private oneOf(values: readonly string[]): string {
    return values[Math.floor(this.random() * values.length)] ?? '';
  }
}
