/* liblvo: looks inside diffusion models on CPUs. The C interface.
 *
 * ERRORS. Every function that can fail returns a code (0 = LVO_OK) and takes as its last argument an
 * `lvo_error` of the caller's, which may be NULL. On failure it holds the code and one line of UTF-8,
 * without a line break, that says what, where, expected and found. On success it is left alone. After a
 * failure nothing was made: out-parameters that are pointers are NULL, buffers may be partly written. No
 * call ends the process, throws or unwinds, whatever its arguments, as long as pointers point to what this
 * header says and handles have not been freed. (One exception: if the system itself has no more memory in
 * the midst of a computation. Sizes are checked against what is free before.)
 *
 * HANDLES. `lvo_model`, `lvo_trace`, `lvo_sae`, `lvo_trainer` and `lvo_result` are opaque. Whoever got one
 * from this library owns it and gives it back with the `…_free` of its type, once; NULL is allowed there.
 * `…_close` lets go of the memory behind a handle early; later calls with it return LVO_CLOSED until it is
 * freed. After `…_free` a handle must not be used. Handles do not depend on each other's lifetime, except
 * that a trace is closed with its model.
 *
 * THREADS. Any thread may call with any handle. Calls on one handle take turns (a trace takes its model's);
 * calls on different handles run side by side, and each model, autoencoder and trainer has worker threads
 * of its own. `lvo_model_cancel`, `lvo_sae_cancel`, `lvo_trainer_cancel` and all `…_free` do not wait for a
 * turn. A handle freed during a call lives until that call is over. There is no global state.
 *
 * PROCESSES. After `fork`, a handle made before it may only be freed in the child: worker threads do not
 * exist there, so every other call returns LVO_FORKED. Handles made in the child are as good as any.
 *
 * CALLBACKS run on the thread that made the call. They may call this library with other handles, and
 * `…_cancel` with any; with the handle that is at work they get LVO_INVALID_ARGUMENT.
 *
 * TEXT that is passed in is UTF-8 that ends with a zero byte. Text that is handed out (`char **`) is the
 * caller's, to be given back with `lvo_text_free`.
 *
 * SETTINGS are JSON objects as text. NULL and "" mean {}. A key that is not named here, a value of another
 * type and a value out of range are LVO_INVALID_ARGUMENT with the key in the message. A key with null is as
 * if it were absent.
 *
 * ARRAYS are the caller's: contiguous, row-major (the last axis varies fastest), at any address that their
 * type may have. Every array comes with its shape, or with the number of its elements, which must be the
 * one that the call needs; otherwise it is LVO_INVALID_ARGUMENT, with expected and found. Input with NaN or
 * infinity is LVO_INVALID_ARGUMENT with the position of the first such number. Input is only read, and no
 * pointer to it is kept after the call. Input and output must not overlap.
 *
 * SHAPES. B samples, C channels, h × w positions of a latent or a layer's map, T tokens of a text, D
 * channels of a layer, L features of an autoencoder, n rows (tokens: positions of a map).
 *
 *   latent      [B, C, h, w] as diffusers has it; C is the model's `latent_channels`
 *   timesteps   [1] or [B] from 0 to the schedule's last, fractions allowed; one for all samples or one
 *               each
 *   context     [1, T, W] or [B, T, W] the text encoder's hidden states, W is the model's `context_width`;
 *               see lvo_model_encode
 *   activation  one of two layouts: LVO_MAPS [B, D, h', w'], as diffusers has the output of a resnet or a
 *               Transformer2DModel; LVO_TOKENS [B, h'·w', D], the rows that autoencoders take and the order
 *               it is computed in
 *
 * The "layer" of a call is a hook point, by its name as in a diffusers checkpoint (see lvo_model_describe),
 * or "noise", the U-Net's output (predicted noise, or velocity, by the model's `prediction_type`): always
 * [B, C, h, w], whatever the layout.
 */
#ifndef LVO_H
#define LVO_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- errors */

/* Codes. The numbers keep their meaning. */
enum {
    LVO_OK = 0,
    LVO_INVALID_ARGUMENT = 1,   /* the call's own arguments or settings */
    LVO_NOT_FOUND = 2,          /* a file, or a part of a model, that is not there or cannot be read */
    LVO_BAD_FILE = 3,           /* a file that is damaged or does not fit */
    LVO_UNSUPPORTED = 4,        /* a well-formed file of a kind that is not computed here */
    LVO_CLOSED = 5,             /* the handle was closed */
    LVO_CANCELLED = 6,          /* `…_cancel`, or a callback returned non-zero */
    LVO_FORKED = 7,             /* the handle was made before a fork, in the parent */
    LVO_OUT_OF_MEMORY = 8,      /* it would take more memory than there is, or than was allowed */
    LVO_CANNOT_WRITE = 9,       /* a file that cannot be written, or exists already */
    LVO_FAILED = 10             /* a result that is not finite; anything else */
};

typedef struct lvo_error {
    int32_t code;
    char message[1020];         /* one line of UTF-8, ends with a zero byte; cut if it is longer */
} lvo_error;

/* The name of a code, such as "LVO_NOT_FOUND"; "unknown" for others. Lives as long as the library is
 * loaded; not to be freed. */
const char *lvo_code_name(int32_t code);

/* The version of the library, such as "0.2.0". Lives as long as the library is loaded; not to be freed. */
const char *lvo_version(void);

/* Gives back text that the library handed out. NULL is allowed. */
void lvo_text_free(char *text);

/* Element types and layouts. */
enum { LVO_FLOAT32 = 0, LVO_UINT8 = 1 };
enum { LVO_TOKENS = 0, LVO_MAPS = 1 };

/* ---------------------------------------------------------------- results */

/* Named arrays and a JSON text, as some calls give back. Everything in it is constant. Has no turns, is
 * never closed, and may be used after a fork. */
typedef struct lvo_result lvo_result;

/* The JSON text of a result. */
int32_t lvo_result_json(lvo_result *result, char **json, lvo_error *error);

/* The names of its arrays as a JSON list. */
int32_t lvo_result_names(lvo_result *result, char **json, lvo_error *error);

/* An array: its first element, element type (LVO_FLOAT32 …), number of axes, and extents (`shape`, room for
 * 8). The memory belongs to the result, is not to be written to, and stays until the result is freed:
 * nothing is copied. LVO_NOT_FOUND names the arrays there are. */
int32_t lvo_result_array(lvo_result *result, const char *name, const void **data, int32_t *type,
                         int32_t *rank, int64_t shape[8], lvo_error *error);

void lvo_result_free(lvo_result *result);

/* ---------------------------------------------------------------- model */

typedef struct lvo_model lvo_model;

/* Opens a model. Only headers are read here; networks are loaded when a call first needs them, and kept.
 *
 *   model          folder in diffusers' layout, a .safetensors or .ckpt file, or "embedded" (the small one
 *                  that comes with the library). Needed.
 *   vae            file or folder of a VAE in place of the model's own
 *   loras          [{"path": file, "scale": 1.0}, …], merged in this order
 *   embeddings     [{"path": file, "token": word or absent}, …]: textual inversions
 *   allow_unused   true: go on when parts of a LoRA fit nothing in the model. Default false: LVO_BAD_FILE
 *   autoencoders   folder of a sparse autoencoder, or of several named by layer, or "embedded": for
 *                  features in "steer", "record" and dreams where no `lvo_sae` is given
 *   precision      "f32" (default), "bf16", or "auto": the fastest that this CPU has
 *   threads        worker threads, the caller's among them. Default: physical cores within affinity mask
 *                  and cgroup quota. No environment variable is read.
 *   instruction_set  "baseline", "avx2", "avx512", "avx512bf16", "amx", "neon", "neonbf16". Default: the
 *                    best here
 *   memory         bytes that the process may use: activations are recomputed rather than kept, where that
 *                  helps. Default: what is free
 *   cache          folder where checksums of models and the pictures that dreams start from ("pool") are
 *                  kept, and weights of large models as layers read them, which opens them faster; made if
 *                  missing. Default: none, they are made again in each process
 *   cache_limit    bytes that those weights may take there. Default 20 GB; 0: none are kept
 */
int32_t lvo_model_open(const char *settings, lvo_model **model, lvo_error *error);

/* Lets go of networks, threads and traces, after the call that runs. Closing twice is no error. */
int32_t lvo_model_close(lvo_model *model, lvo_error *error);

/* Frees the handle (and closes it). */
void lvo_model_free(lvo_model *model);

/* Makes the calls that run or wait for their turn on this model return LVO_CANCELLED: at the next block of
 * the U-Net, or step of a sampler, a dream or a pool. Returns at once. A call that begins later is not
 * affected; whoever wants to be sure that a call of another thread ends calls this again until it has. */
int32_t lvo_model_cancel(lvo_model *model, lvo_error *error);

/* Describes a model as a JSON object, its layers for latents of height × width (0, 0: the model's own
 * size):
 *
 *   version, name, model, vae, loras, precision, instruction_set, threads, has_text_encoder, has_vae,
 *   latent_channels, latent_size [h, w] (the model's own), pixel_factor, context_width, context_length
 *   (tokens; null without a text encoder),
 *   prediction_type        "epsilon" or "v_prediction"
 *   alphas_cumprod         ᾱ of every time step from 0: a list
 *   sampler                the model's own, or null; samplers: all names
 *   default_steps, default_guidance_scale
 *   layers                 in order of computation: [{"name", "channels", "height", "width", "flops" (of
 *                          one forward pass to it, one sample), "cost" (share of the whole U-Net's),
 *                          "parameters" (that must be loaded), "layout" ("maps" or "tokens", as diffusers
 *                          has it), "autoencoder" (its folder among `autoencoders`, or null)}, …]
 *   unused_lora_keys       a list
 */
int32_t lvo_model_describe(lvo_model *model, int32_t height, int32_t width, char **json, lvo_error *error);

/* The tokens of a prompt as JSON: {"ids": [T integers, start, end and padding included], "length": tokens
 * with start and end before cutting, "dropped": the end of the prompt that did not fit, or null}. */
int32_t lvo_model_tokenize(lvo_model *model, const char *prompt, char **json, lvo_error *error);

/* The text encoder's hidden states of prompts. Settings: "prompts" [strings] (default [""]), "clip_skip" 0
 * (layers left out, as diffusers counts), "emphasis" false (the web interfaces' syntax; long prompts then
 * take several chunks). The result has the array `context` [n, T, W], and as JSON {"ids": [[…]], "dropped":
 * [string or null, …]}. */
int32_t lvo_model_encode(lvo_model *model, const char *settings, lvo_result **result, lvo_error *error);

/* ---------------------------------------------------------------- activations and gradients */

/* Activations of one or several layers in one forward pass that ends at the deepest of them.
 *
 * `layers`: `layer_count` names. `outputs`: as many buffers, of `counts[i]` floats each: the activation of
 * layer i in `layout`. */
int32_t lvo_model_activations(lvo_model *model, const char *const *layers, int32_t layer_count,
                              const float *latent, const int64_t latent_shape[4], const float *timesteps,
                              int64_t timestep_count, const float *context, const int64_t context_shape[3],
                              int32_t layout, float *const *outputs, const int64_t *counts,
                              lvo_error *error);

/* What `lvo_model_forward` kept for gradients: about the memory that activations take, see lvo_trace_free.
 * Takes its turn with its model, and is closed with it. */
typedef struct lvo_trace lvo_trace;

/* The activation of one layer (NULL and "noise": the U-Net's output), of `output_count` floats in `layout`,
 * and, unless `trace` is NULL, what gradients need. `output` may be NULL if only the trace is wanted;
 * `output_count` is then not looked at. */
int32_t lvo_model_forward(lvo_model *model, const char *layer, const float *latent,
                          const int64_t latent_shape[4], const float *timesteps, int64_t timestep_count,
                          const float *context, const int64_t context_shape[3], int32_t layout,
                          float *output, int64_t output_count, lvo_trace **trace, lvo_error *error);

/* The vector-Jacobian product: the gradient [B, C, h, w] at the latent (`gradient_count` floats) of Σ
 * cotangent · output, from a cotangent of the output's shape and layout (`cotangent_count` floats). May be
 * called any number of times. */
int32_t lvo_trace_gradient(lvo_trace *trace, const float *cotangent, int64_t cotangent_count,
                           float *gradient, int64_t gradient_count, lvo_error *error);

/* Frees a trace and the memory that it keeps. */
void lvo_trace_free(lvo_trace *trace);

/* The U-Net's output [B, C, h, w] with the activation of one layer (not "noise") replaced by `activation`,
 * of `activation_count` floats in `layout`. */
int32_t lvo_model_replaced(lvo_model *model, const char *layer, const float *activation,
                           int64_t activation_count, int32_t layout, const float *latent,
                           const int64_t latent_shape[4], const float *timesteps, int64_t timestep_count,
                           const float *context, const int64_t context_shape[3], float *noise,
                           int64_t noise_count, lvo_error *error);

/* ---------------------------------------------------------------- pictures */

/* Latents [B, C, H/f, W/f] of pictures [B, H, W, 3] in -1…1, f the model's `pixel_factor`, H and W
 * multiples of it; as the U-Net has them, that is times the VAE's scaling factor. `sampled` 0: the mean; 1:
 * drawn with torch's CPU generator of `seed`. */
int32_t lvo_model_encode_pictures(lvo_model *model, const float *pictures, const int64_t pictures_shape[4],
                                  int32_t sampled, uint64_t seed, float *latents, int64_t latents_count,
                                  lvo_error *error);

/* Pictures of latents [B, C, h, w], as floats [B, f·h, f·w, 3], nominally -1…1, and as bytes of the same
 * shape. Either buffer may be NULL; its count is then not looked at. */
int32_t lvo_model_decode(lvo_model *model, const float *latents, const int64_t latents_shape[4],
                         float *pictures, int64_t pictures_count, uint8_t *rgb, int64_t rgb_count,
                         lvo_error *error);

/* Called after every step: `done` of `total` steps of the whole call are done. `json` is an object that
 * tells more; it is valid during the callback only. `user` is what was given with the callback. Non-zero
 * ends the call with LVO_CANCELLED. */
typedef int32_t (*lvo_progress)(void *user, int64_t done, int64_t total, const char *json);

/* ---------------------------------------------------------------- sparse autoencoders */

typedef struct lvo_sae lvo_sae;

/* Opens a sparse autoencoder. Settings: "path": a folder of sparsify's (sae.safetensors), SAELens'
 * (sae_weights.safetensors) or dictionary_learning's (ae.pt) format, or of several named by layer, or
 * "embedded"; needed. "layer": which one, where there are several (for "embedded" absent means its only
 * one). "threads", "precision", "instruction_set" as for models. */
int32_t lvo_sae_open(const char *settings, lvo_sae **sae, lvo_error *error);

int32_t lvo_sae_close(lvo_sae *sae, lvo_error *error);
void lvo_sae_free(lvo_sae *sae);
int32_t lvo_sae_cancel(lvo_sae *sae, lvo_error *error);

/* As JSON: {"path", "layer" (or null), "width" (D), "features" (L), "k", "rule" ("topk", "batch_topk",
 * "sample_topk", "relu", "jumprelu"), "counts_k" (whether the rule keeps k), "input_unit_norm",
 * "multi_topk", "normalize_decoder", "prefixes", "precision", "threads"}. */
int32_t lvo_sae_describe(lvo_sae *sae, char **json, lvo_error *error);

/* Its parameters, without a copy: `encoder.weight` [L, D], `encoder.bias` [L], `W_dec` [L, D] (a row is the
 * direction a feature stands for), `b_dec` [D], with JumpReLU `threshold` [L]. The JSON is that of
 * describe. */
int32_t lvo_sae_parameters(lvo_sae *sae, lvo_result **result, lvo_error *error);

/* The features of rows `x` [n, D] as a dense array [n, L]. `selected` 1: after selection, 0 elsewhere (at
 * inference BatchTopK and SampleTopK keep the k largest of each row); 0: relu of every pre-activation,
 * before any selection. */
int32_t lvo_sae_encode(lvo_sae *sae, const float *x, const int64_t x_shape[2], int32_t selected,
                       float *features, int64_t features_count, lvo_error *error);

/* The `k` largest selected features of every row, largest first: `indices` and `values` [n, k], -1 and 0
 * where there are fewer. */
int32_t lvo_sae_encode_top(lvo_sae *sae, const float *x, const int64_t x_shape[2], int64_t k,
                           int32_t *indices, float *values, int64_t count, lvo_error *error);

/* Reconstructions [n, D] of dense features [n, L]. `x` [n, D], what was encoded, is needed by autoencoders
 * with `input_unit_norm`, to scale back; NULL for others. */
int32_t lvo_sae_decode(lvo_sae *sae, const float *features, const int64_t features_shape[2], const float *x,
                       float *out, int64_t out_count, lvo_error *error);

/* The same of sparse ones [n, k], k up to L, in any order; entries with index -1 are left out, a feature that occurs
 * twice counts twice. */
int32_t lvo_sae_decode_top(lvo_sae *sae, const int32_t *indices, const float *values, const int64_t shape[2],
                           const float *x, float *out, int64_t out_count, lvo_error *error);

/* Writes a folder. `format`: "published" (sparsify's; cfg.json, sae.safetensors) or "saelens". `dtype`:
 * "f32", "f16", "bf16". `layer`: for SAELens' cfg.json; NULL: what the autoencoder was opened for, else
 * "unknown". */
int32_t lvo_sae_save(lvo_sae *sae, const char *folder, const char *format, const char *dtype,
                     const char *layer, int32_t overwrite, lvo_error *error);

/* ---------------------------------------------------------------- training */

typedef struct lvo_trainer lvo_trainer;

/* Makes a trainer of one autoencoder, as `lvo sae train` does. Settings, with the defaults in brackets:
 *
 *   width                   D; needed
 *   rule ["batch_topk"], expansion [16], latents [expansion · width], k [32], multi_topk [false],
 *   input_unit_norm [false], prefixes [[]] (Matryoshka) steps [1000], batch_tokens [4096], learning_rate
 *   [2e-4 / √(L / 2¹⁴)], schedule ["constant"; "linear", "cosine"], warm_up [0], auxk_alpha [1/32], l1
 *   [1e-3] (relu), l0 [1e-3] and bandwidth [1e-2] (jumprelu), max_gradient_norm [1], dead_after_tokens
 *   [10000000], resample_every [0], seed [0], threads, precision, instruction_set as for models
 */
int32_t lvo_trainer_open(const char *settings, lvo_trainer **trainer, lvo_error *error);

int32_t lvo_trainer_close(lvo_trainer *trainer, lvo_error *error);
void lvo_trainer_free(lvo_trainer *trainer);
int32_t lvo_trainer_cancel(lvo_trainer *trainer, lvo_error *error);

/* As JSON: every setting by its key (`latents` and `learning_rate` as numbers), "step" (updates done),
 * "is_finished". */
int32_t lvo_trainer_describe(lvo_trainer *trainer, char **json, lvo_error *error);

/* One update on `batch` [batch_tokens, D]. The first batch is also what the start is made from.
 * `positions`: rows of a sample, of which a batch has a whole number; matters to sample_topk, 1 for others.
 * `metrics`, unless NULL, gets a JSON object: step, tokens, loss, fvu, explained_variance, l0,
 * dead_percent, … (the columns of metrics.csv). LVO_INVALID_ARGUMENT after the last of `steps`. LVO_FAILED
 * if it diverged: the weights are then as they were. */
int32_t lvo_trainer_step(lvo_trainer *trainer, const float *batch, const int64_t batch_shape[2],
                         int64_t positions, char **metrics, lvo_error *error);

/* The autoencoder as it is now, a copy: training on does not change it. LVO_INVALID_ARGUMENT before the
 * first step. */
int32_t lvo_trainer_sae(lvo_trainer *trainer, lvo_sae **sae, lvo_error *error);

/* ---------------------------------------------------------------- generation */

/* Draws pictures: every prompt with every seed, prompts in the outer loop, n in all. The same seed gives
 * diffusers' picture.
 *
 *   prompts [[""]], negative_prompt [""], seeds [[0]], steps [50], guidance_scale [7.5], sampler [the
 *   model's own], width and height in pixels [the model's own, or the picture's], clip_skip [0], emphasis
 *   [false], prediction ["epsilon" or "v_prediction"; the model's own], strength [0.8] (how much of
 *   `picture` is replaced)
 *   steer    [{"layer", one of: "channel": j, "feature": j, "direction": [D numbers]; "edit": "add"
 *            (default), and for features "clamp", "scale", "ablate"; "strength": number, needed but for
 *            ablate; "timesteps": [first, last] (default all); "sae": index into `saes` (features; default
 *            the model's `autoencoders`)}, …]
 *   record   [{"layer", "space": "channels" (default) or "features" (of the model's `autoencoders`),
 *            "form": "means" (default) or "maps", "timesteps": [first, last]}, …]: activations kept, at the
 *            conditional half of guidance
 *
 * `picture`: NULL, or RGB bytes [height, width, 3] to start from, and `picture_shape` [2] = {height,
 * width}. `progress` may be NULL. Its JSON: {"picture", "prompt", "seed"}; steps are U-Net calls.
 *
 * The result's arrays: `latents` [n, C, h, w]; `pictures` bytes [n, H, W, 3]; for recording i of picture p
 * `record/i/p` [steps, D or L] or [steps, h'·w', D or L], and `record/i/p/timesteps` [steps]. JSON:
 * {"pictures": [{"prompt", "seed", "width", "height", "parameters" (the text that web interfaces keep in a
 * PNG), "dropped" (end of the prompt that did not fit, or null)}, …]}. */
int32_t lvo_model_generate(lvo_model *model, const char *settings, const uint8_t *picture,
                           const int64_t picture_shape[2], lvo_sae *const *saes, int32_t sae_count,
                           lvo_progress progress, void *user, lvo_result **result, lvo_error *error);

/* ---------------------------------------------------------------- dreams */

/* Finds latents that make channels, features or directions of a layer as active as possible: every
 * objective at every time step from every seed; n results, in the order of time steps, objectives, seeds.
 *
 *   layer        needed
 *   objectives   needed: a list of objectives, each a list of terms [{one of: "channel": j, "feature": j,
 *                "direction": [D numbers]; "weight": 1.0; "sae": index into `saes` (features; default the
 *                model's `autoencoders`); "name": of a direction in records}, …], or a single term in place
 *                of a list of one
 *   timesteps    needed: a list of integers
 *   seeds        [[1024, 1111, 4359, 3248, 1026]]
 *   prompt [""], clip_skip [0], emphasis [false]
 *   width, height   in pixels [the model's own]
 *   init         "noise", "pool", "pool:N" (the pictures that excite most among N that the model draws by
 *                itself), or "latents": those of `start`. Default: "latents" if `start` is given, "pool"
 *                with the preset clear, else "noise"
 *   preset       "clear" (default), "tuned", "raw", "sae"; robustness 0…3
 *   batch        latents computed together when they are independent [as many as seeds]
 *   display      "unit" (default) or "stretch"
 *   every        steps between snapshots [none but start and end]
 *   decode       [true] false: latents only
 *   timed        [false] true: records with seconds and memory
 *   and every parameter of `lvo dream` by its key in records: steps, learning_rate, total_variation, range,
 *   range_threshold, moment, sigma_start, sigma_end, spectral_filter, jitter, rotate, scale,
 *   schedule_noise, noise_draws, timestep_spread, rectifier, where, coupling, diversity, redraws,
 *   redraw_start, redraw_end, redraw_steps, redraw_draws
 *
 * `start`: NULL, or latents [N, C, h, w], one per seed in turn, and their shape. `progress` may be NULL.
 * Its JSON: {"batch", "step", "activations" [per latent of the batch], "losses", "items" [{"objective",
 * "timestep", "seed"}, …]}, or while pictures to start from are drawn {"pool": done, "of": N}, with `done`
 * still 0.
 *
 * The result's arrays: `latents` [n, C, h, w]; `pictures` bytes [n, H, W, 3] (with `decode` and a VAE);
 * `activations` [n, steps], of every step before its update, NaN after the end of one that diverged; for
 * batch b `snapshots/b` [s, B, C, h, w] and `snapshots/b/steps` [s]. JSON: {"records": [the record of each
 * result, as `lvo dream` writes it], "settings": {every parameter}}. */
int32_t lvo_model_dream(lvo_model *model, const char *settings, const float *start,
                        const int64_t start_shape[4], lvo_sae *const *saes, int32_t sae_count,
                        lvo_progress progress, void *user, lvo_result **result, lvo_error *error);

#ifdef __cplusplus
}
#endif

#endif
