"""Trajectories of diffusers' schedulers on an analytic model, for every sampler, spacing and setting that is read.

The U-Net is eps(x, t) = 0.3 x + 0.2 sin(2 x + t / 150), given what `scale_model_input` gives; the start is
`torch.randn([1, 4, 8, 8])` of seed 5 times the scheduler's `init_noise_sigma`, and noise goes on from that generator.
"""

import json
import warnings
from pathlib import Path

import diffusers
import torch
from safetensors.torch import save_file

TARGET = "Tests/StableDiffusionTests/Fixtures/samplers"
TOLERANCE = 1e-5

SHAPE = [1, 4, 8, 8]
BASE = {
    "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "steps_offset": 1}
CLASSES = {
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}), "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "ddpm": ("DDPMScheduler", {"clip_sample": False}), "lcm": ("LCMScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}), "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}), "lms": ("LMSDiscreteScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}), "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
    "dpmpp_2m_karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "dpmpp_2m_sde_karras": (
        "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}),
    "dpmpp_sde": ("DPMSolverSDEScheduler", {"noise_sampler_seed": 3}),
}
SPACED = [name for name in CLASSES if name != "lcm"]
SOLVERS = ["dpmpp_2m", "dpmpp_2m_sde", "unipc"]
SIGMAS = ["euler", "heun", "lms", "unipc"]
V = {"prediction_type": "v_prediction"}
# Settings beside the base's, with the samplers that read them.
VARIANTS = (
    [({}, name) for name in CLASSES] + [(V, name) for name in CLASSES]
    + [({"timestep_spacing": s}, name) for s in ("linspace", "leading", "trailing") for name in SPACED]
    + [({"beta_schedule": "squaredcos_cap_v2"}, name) for name in ("ddim", "euler", "dpmpp_2m_karras")]
    + [({"trained_betas": [0.001 + 0.00002 * i for i in range(1000)]}, name) for name in ("ddpm", "heun")]
    + [(V | {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}, name)
       for name in ("ddim", "euler", "euler_a", "lcm", "unipc", "dpmpp_2m", "dpmpp_2m_karras")]
    + [({"use_karras_sigmas": True}, name) for name in SIGMAS + ["dpmpp_sde"]]
    + [({"use_exponential_sigmas": True}, name) for name in SIGMAS + ["dpmpp_2m", "dpmpp_2m_sde"]]
    + [({"use_karras_sigmas": True, "sigma_min": 0.1, "sigma_max": 10.0}, name) for name in ("euler", "unipc")]
    + [({"final_sigmas_type": "sigma_min"}, name) for name in ["euler"] + SOLVERS]
    + [({"final_sigmas_type": "sigma_min", "use_karras_sigmas": True}, "unipc")]
    + [({"solver_order": order}, name) for order in (1, 3) for name in SOLVERS]
    + [({"solver_order": 3, "lower_order_final": False, "final_sigmas_type": "sigma_min"}, name) for name in SOLVERS]
    + [({"solver_type": "heun"}, name) for name in ("dpmpp_2m", "dpmpp_2m_sde")]
    + [({"solver_type": "bh1", "solver_order": order, "final_sigmas_type": "sigma_min"}, "unipc") for order in (2, 3)]
    + [({"euler_at_final": True, "final_sigmas_type": "sigma_min"}, "dpmpp_2m")]
    + [({"disable_corrector": [0, 2]}, "unipc")]
    + [({"clip_sample": True, "clip_sample_range": 0.8}, name) for name in ("ddim", "ddpm", "lcm", "heun")]
    + [({"set_alpha_to_one": value}, name) for value in (True, False) for name in ("pndm", "ddim")]
    + [({"variance_type": kind}, "ddpm") for kind in ("fixed_small_log", "fixed_large")]
    + [({"original_inference_steps": 100, "timestep_scaling": 0.01}, "lcm")]
)
STEPS = (1, 4, 7, 20)


def model(x, timestep):
    return 0.3 * x + 0.2 * torch.sin(2 * x + timestep / 150)


def record_noise(scheduler, noises):
    """Keeps what the Brownian path of DPM++ SDE gives: its draws cannot be had from a seed without torchsde."""
    sampler = diffusers.schedulers.scheduling_dpmsolver_sde.BrownianTreeNoiseSampler

    def recorded(*arguments, **keywords):
        inner = sampler(*arguments, **keywords)

        def call(*times):
            noises.append(inner(*times).clone())
            return noises[-1]
        return call

    scheduler.step.__globals__["BrownianTreeNoiseSampler"] = recorded
    return lambda: scheduler.step.__globals__.__setitem__("BrownianTreeNoiseSampler", sampler)


def trajectory(name, settings, steps):
    kind, own = CLASSES[name]
    scheduler = getattr(diffusers, kind)(**(BASE | own | settings))
    scheduler.set_timesteps(steps)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)  # else equal time steps at the start lead to the second of them
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(SHAPE, generator=generator) * scheduler.init_noise_sigma
    noises, points = [], {}
    restore = record_noise(scheduler, noises) if name == "dpmpp_sde" else lambda: None
    draws = name in ("ddpm", "lcm", "euler_a") or "sde" in name and name != "dpmpp_sde"
    extra = {"generator": generator} if draws else {}
    for call, t in enumerate(scheduler.timesteps):
        x = scheduler.step(model(scheduler.scale_model_input(x, t), t), t, x, **extra).prev_sample
        if call + 1 in (1, 2, 3):
            points[f"after{call + 1}"] = x[0, :, :2].clone()
    restore()
    points["end"] = x.clone()
    if noises:
        points["noise"] = torch.stack(noises)
    return scheduler, {key: value.float() for key, value in points.items()}


def make(folder: Path):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    tensors, runs = {}, []
    for index, (settings, name) in enumerate(VARIANTS):
        for steps in (STEPS if not settings or settings == V else (6, 16)):
            scheduler, points = trajectory(name, settings, steps)
            key = f"{index}/{steps}"
            tensors |= {f"{key}/{point}": value.contiguous() for point, value in points.items()}
            kind, own = CLASSES[name]
            runs.append({
                "key": key, "sampler": name, "steps": steps, "class": kind, "config": BASE | own | settings,
                "timesteps": [float(t) for t in scheduler.timesteps], "start": float(scheduler.init_noise_sigma)})
    save_file(tensors, folder / "samplers.safetensors")
    with open(folder / "samplers.json", "w") as file:
        json.dump({"runs": runs}, file, indent=None, separators=(",", ":"))
