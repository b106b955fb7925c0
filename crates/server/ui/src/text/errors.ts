// What went wrong, in words that say what to do.
import { t, type Word } from '../i18n/words';
import type { Failure } from '../state/tree';

const BY_CODE: Record<string, Word> = {
  context_length_exceeded: 'errContext', unsupported_content: 'errUnsupported', unsupported_parameter: 'errParameter', unknown_parameter: 'errParameter', invalid_api_key: 'errKey',
  model_not_found: 'errModel', image_too_large: 'errPixels', video_too_large: 'errFrames', too_many_pages: 'errPages', file_text_too_long: 'errPages', encrypted_file: 'errEncrypted',
  server_is_overloaded: 'errBusy', slow_down: 'errBusy', request_too_large: 'errBodyBig', server_error: 'errServer',
};
/** crates/media writes the same codes of pictures, clips and files. */
const BY_FORM: [RegExp, Word][] = [
  [/^(invalid_(image|video|file)_url|failed_to_download_(image|video|file))$/, 'errUrl'],
  [/^((image|video)_file|file)_too_large$/, 'errFileBig'],
  [/^unsupported_(image|video|file)_media_type$/, 'errKind'],
  [/^((image|video|file)_parse_error|invalid_(image|video|file)(_format)?|empty_((image|video)_)?file)$/, 'errParse'],
];

export function explain(f: Failure): string {
  if (f.kind === 'network') return t('errNetwork');
  if (f.kind === 'gone') return t('errGone');
  const word = f.code && (BY_CODE[f.code] ?? BY_FORM.find(([form]) => form.test(f.code!))?.[1]);
  if (word) return t(word);
  if (f.file) return t('errFile');
  if (f.status === 401 || f.status === 403) return t('errKey');
  if (f.status === 413) return t('errBodyBig');
  if (f.status === 429 || f.status === 503) return t('errBusy');
  return t(f.status && f.status < 500 ? 'errRequest' : 'errServer');
}
