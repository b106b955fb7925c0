// Right: how to answer. An empty field means the server's default, which stands in it in grey where it is known.
import { apiKey, keepKey, params, setParam } from '../state/settings';
import { look, modelInfo, server } from '../api/client';
import { problems, RANGES } from '../api/request';
import type { Params } from '../state/tree';
import { t } from '../i18n/words';

export function ParamsPanel() {
  const p = params.value;
  const info = modelInfo(p.model);
  const wrong = problems(p);
  const names = server.value.models.flatMap((m) => [m.id, ...(m.aliases ?? [])]);
  return (
    <section class="panel" aria-labelledby="params-title">
      <h2 id="params-title">{t('params')}</h2>
      <label class="field"><span>{t('model')}</span>
        <select value={names.includes(p.model) ? p.model : ''} onChange={(e) => setParam('model', e.currentTarget.value)}>
          <option value="">{modelInfo('')?.id ?? t('serverDefault')}</option>
          {names.filter((n) => n !== modelInfo('')?.id).map((n) => <option key={n} value={n}>{n}</option>)}
        </select>
      </label>
      {info?.context_length ? <p class="faint">{t('contextOf', { n: info.context_length.toLocaleString() })}</p> : null}
      <label class="field"><span>{t('system')}</span><textarea rows={3} value={p.system} onInput={(e) => setParam('system', e.currentTarget.value)} /></label>
      <div class="pairs">
        {RANGES.map(([key, min, max, step]) => (
          <label class="field" key={key}><span>{t(key)}</span>
            <input type="number" inputMode="decimal" min={Number.isFinite(min) ? min : undefined} max={Number.isFinite(max) ? max : undefined} step={step} value={p[key]} aria-invalid={wrong[key] ? true : undefined} placeholder={number(info?.defaults?.[key]) ?? t('serverDefault')} onInput={(e) => setParam(key, e.currentTarget.value)} />
            {wrong[key] && <small class="wrong" role="alert">{t('errRange')}</small>}
          </label>
        ))}
        <label class="field"><span>{t('detail')}</span>
          <select value={p.detail} onChange={(e) => setParam('detail', e.currentTarget.value as Params['detail'])}>
            {(['auto', 'low', 'high'] as const).map((d) => <option key={d} value={d}>{t(`detail_${d}`)}</option>)}
          </select>
        </label>
      </div>
      <label class="field"><span>{t('stopTexts')}</span><textarea rows={2} value={p.stop} placeholder={t('onePerLine')} onInput={(e) => setParam('stop', e.currentTarget.value)} /></label>
      <label class="field"><span>{t('format')}</span>
        <select value={p.format} onChange={(e) => setParam('format', e.currentTarget.value as Params['format'])}>
          <option value="text">{t('formatText')}</option><option value="json_object">JSON</option><option value="json_schema">JSON Schema</option>
        </select>
      </label>
      {p.format === 'json_schema' && <Json id="schema" label={t('schema')} wrong={wrong.schema} placeholder='{"type": "object", "properties": {}}' />}
      <Json id="tools" label={t('tools')} wrong={wrong.tools} placeholder='[{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}]' />
      <h3>{t('key')}</h3>
      <label class="field"><span>{t('keyLabel')}</span>
        <input id="api-key" type="password" autocomplete="off" spellcheck={false} value={apiKey.value} onInput={(e) => { apiKey.value = e.currentTarget.value.trim(); }} onChange={() => void look()} />
      </label>
      <label class="check"><input type="checkbox" checked={keepKey.value} onChange={(e) => { keepKey.value = e.currentTarget.checked; }} /><span>{t('keepKey')}</span></label>
      <p class="faint">{t(keepKey.value ? 'keyKept' : 'keyTab')}</p>
      <p class="faint"><a href="/ui/licences.txt" target="_blank" rel="noopener">{t('licences')}</a></p>
    </section>
  );
}

const number = (n: number | null | undefined): string | undefined => (n === null || n === undefined ? undefined : String(Math.round(n * 1000) / 1000));

function Json({ id, label, wrong, placeholder }: { id: 'schema' | 'tools'; label: string; wrong?: string; placeholder: string }) {
  return (
    <label class="field"><span>{label}</span>
      <textarea class="mono" rows={4} spellcheck={false} value={params.value[id]} placeholder={placeholder} aria-invalid={wrong ? true : undefined} onInput={(e) => setParam(id, e.currentTarget.value)} />
      {wrong && <small class="wrong" role="alert">{t('notJson')}{wrong === 'shape' ? '' : ` ${wrong}`}</small>}
    </label>
  );
}
