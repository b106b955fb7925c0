// The first run: what this is, and three questions that the demo model can answer.
import count from '../samples/count.png';
import number from '../samples/number.png';
import object from '../samples/object.png';
import { keep } from '../media/intake';
import { t } from '../i18n/words';
import { toast } from './toast';
import { send } from './composer';

const SAMPLES = [
  { url: object, name: 'object.png', question: 'What is this?' },
  { url: count, name: 'count.png', question: 'How many triangles are in the image?' },
  { url: number, name: 'number.png', question: 'Read the number.' },
];

async function ask(sample: (typeof SAMPLES)[number]): Promise<void> {
  try {
    const blob = await (await fetch(sample.url)).blob();
    send(sample.question, [await keep(blob, sample.name, 'image', 'image/png')]);
  } catch {
    toast(t('errNetwork'), 'bad');
  }
}

export function Welcome() {
  return (
    <div class="welcome">
      <h2>{t('welcome')}</h2>
      <p>{t('welcomeText')}</p>
      <ul class="samples">
        {SAMPLES.map((s) => (
          <li key={s.name}><button type="button" onClick={() => void ask(s)}><img src={s.url} alt="" width={128} height={128} /><span lang="en">{s.question}</span></button></li>
        ))}
      </ul>
      <p class="faint">{t('welcomeKeys')}</p>
    </div>
  );
}
