// The "Server" tab: what runs here and how it fares.
import { useEffect } from 'preact/hooks';
import { look, server } from '../api/client';
import { gauge, moments, rate, trouble, watch, type Values } from '../metrics/history';
import { t } from '../i18n/words';
import { Plot } from './plot';

const [GREEN, BLUE, ORANGE, RED] = ['var(--green)', 'var(--blue)', 'var(--orange)', 'var(--red)'];

const share = (part: Values, whole: Values): Values => part.map((p, i) => {
  const w = whole[i];
  return p === undefined || w === undefined ? undefined : w > 0 ? Math.min(100, (p / w) * 100) : 0;
});
const minus = (a: Values, b: Values): Values => a.map((x, i) => (x === undefined || b[i] === undefined ? undefined : x - b[i]!));
const latest = (v: Values): number | undefined => v.findLast((x) => x !== undefined);

export function ServerTab() {
  useEffect(() => {
    void look();
    return watch();
  }, []);
  const h = moments.value;
  // A minute at first; the plots grow with what is known.
  const slots = Math.max(31, h.length);
  const [free, all] = [gauge(h, 'vlgate_kv_blocks_free'), gauge(h, 'vlgate_kv_blocks_total')];
  const [prompt, hits] = [rate(h, 'vlgate_prompt_tokens_total'), rate(h, 'vlgate_prefix_hit_tokens_total')];
  const ready = latest(gauge(h, 'vlgate_ready'));
  return (
    <main id="server" class="server" tabIndex={-1}>
      <div class="row between">
        <h2>{t('tabServer')}{server.value.version ? ` · vlgate ${server.value.version}` : ''}</h2>
        <span class={`state ${ready === 1 ? 'good' : ready === 0 ? 'bad' : ''}`}>{t(ready === 1 ? 'ready' : ready === 0 ? 'notReady' : 'unknown')}</span>
      </div>
      {trouble.value && <p class="trouble" role="alert">{t('noNumbers')} ({trouble.value})</p>}
      <div class="table" tabIndex={0} role="region" aria-label={t('models')}>
        <table>
          <thead><tr><th>{t('model')}</th><th>{t('runtime')}</th><th>{t('quantization')}</th><th>{t('context')}</th><th>{t('takes')}</th></tr></thead>
          <tbody>{server.value.models.map((m) => (
            <tr key={m.id}><td><code>{m.id}</code>{m.aliases?.length ? <small class="faint"> = {m.aliases.join(', ')}</small> : null}</td><td>{m.runtime ?? '–'}</td><td>{m.quantization ?? '–'}</td><td>{m.context_length?.toLocaleString() ?? '–'}</td>
              <td>{[t('takesText'), m.vision ? t('takesImages') : '', m.video ? t('takesVideo') : '', m.thinking ? t('thinks') : ''].filter(Boolean).join(', ')}</td></tr>
          ))}</tbody>
        </table>
      </div>
      <div class="plots">
        <Plot slots={slots} title={t('plotRequests')} lines={[{ name: t('runningNow'), values: gauge(h, 'vlgate_requests_running'), colour: GREEN }, { name: t('waitingNow'), values: gauge(h, 'vlgate_requests_waiting'), colour: ORANGE }]} />
        <Plot slots={slots} title={t('plotTokens')} lines={[{ name: t('generated'), values: rate(h, 'vlgate_generated_tokens_total'), colour: GREEN }, { name: t('read'), values: prompt, colour: BLUE }]} />
        <Plot slots={slots} title={t('plotBlocks')} most={latest(all)} lines={[{ name: t('used'), values: minus(all, free), colour: BLUE }, { name: t('free'), values: free, colour: GREEN }]} />
        <Plot slots={slots} title={t('plotCache')} most={100} unit="%" lines={[{ name: t('prefixHits'), values: share(hits, prompt), colour: GREEN }]} />
        <Plot slots={slots} title={t('plotResponses')} lines={['2xx', '4xx', '5xx'].map((name, i) => ({ name, values: rate(h, 'vlgate_http_responses_total', { class: name }), colour: [GREEN, ORANGE, RED][i] }))} />
        <Plot slots={slots} title={t('plotImages')} lines={[{ name: t('embeddingHits'), values: rate(h, 'vlgate_embedding_hits_total'), colour: BLUE }]} />
      </div>
      <details class="all-numbers"><summary>{t('allNumbers')}</summary>
        <div class="table" tabIndex={0}><table><tbody>
          {h.at(-1)?.samples.map((s) => {
            const labels = Object.entries(s.labels).map(([k, v]) => `${k}=${v}`).join(' ');
            return <tr key={`${s.name}${labels}`}><td><code>{s.name}</code> <small class="faint">{labels}</small></td><td class="right">{s.value.toLocaleString()}</td></tr>;
          })}
        </tbody></table></div>
      </details>
    </main>
  );
}
