"""Dials of a request: names, spacings, guidance by step and interval, variation, travel, windows, images and masks."""

import msgspec
import numpy as np
import pytest

from cadenza.assets.bundle import Bundle
from cadenza.assets.manifest import Recommended
from cadenza.assets.refusal import Refusal
from cadenza.runtime.brownian import brownian
from cadenza.runtime.draws import StepDraws, grain, initial
from cadenza.runtime.looking import Workbench, distance
from cadenza.runtime.recipe import from_dict
from cadenza.runtime.resolve import resolve
from cadenza.runtime.travel import travel
from cadenza.runtime.worker import Worker

ASKED = {"kind": "texture", "prompt": "wet stone", "seed": 7, "size": 64}


@pytest.fixture(scope="module")
def bench(bundle, tmp_path_factory):
    return Workbench(bundle.folder, "onnxruntime", tmp_path_factory.mktemp("proofs"))


@pytest.fixture(scope="module")
def ask(bundle):
    return lambda **dials: resolve({**ASKED, **dials}, {bundle.digest: bundle})


@pytest.fixture
def elsewhere():
    worker = Worker("noise")
    yield worker
    worker.close()


def test_a_request_may_name_its_sampler_in_any_world(ask):
    recipe = ask(sampler="DPM++ 2M Karras", steps=6).recipe
    assert (recipe.sampler, recipe.spacing) == ("dpmpp_2m", "karras")
    assert ask(sampler="dpmpp_2m", spacing="Karras", steps=6).recipe.id == recipe.id
    assert ask(sampler="LCM", steps=4).recipe.spacing == {"times": (1.0, 0.75, 0.5, 0.25, 0.0)}
    with pytest.raises(Refusal, match="did you mean 'dpmpp_2m karras'"):
        ask(sampler="DPM++ 2M Karas")
    with pytest.raises(Refusal, match="say it once"):
        ask(sampler="DPM++ 2M Karras", spacing="beta")


def test_a_name_that_implies_an_eta_sets_it_and_an_asked_one_wins(ask):
    implied = ask(sampler="DPM++ 2S", steps=6)
    assert implied.recipe.eta == 0.0
    assert not implied.plan.stochastic
    assert ask(sampler="DPM++ 2S", steps=6, eta=0.5).recipe.eta == 0.5


def test_a_bundle_may_let_a_share_of_guidance_act(ask, bundle):
    shared = Bundle(bundle.folder, msgspec.structs.replace(bundle.manifest, guidance_share=0.25), "1" * 64)

    def asked(guidance):
        return resolve({**ASKED, "steps": 4, "guidance": guidance}, {shared.digest: shared})

    assert asked(4.0).recipe.guidance == 4.0
    assert asked(4.0).plan.digest == ask(steps=4, guidance=1.75).plan.digest
    assert asked((1, 5, 0.5, 3)).plan.digest == ask(steps=4, guidance=(1, 2.0, 0.5, 1.5)).plan.digest
    assert asked(1.0).plan.digest == ask(steps=4).plan.digest


def test_a_table_may_let_another_share_act_at_its_step_count(ask, bundle):
    tables = [
        msgspec.structs.replace(each, guidance_share=0.5) for each in bundle.manifest.recommended if each.steps == 4
    ]
    manifest = msgspec.structs.replace(bundle.manifest, guidance_share=0.25, recommended=tables)
    shared = Bundle(bundle.folder, manifest, "1" * 64)

    def asked(steps):
        return resolve({**ASKED, "sampler": "euler", "steps": steps, "guidance": 3}, {shared.digest: shared})

    assert asked(4).plan.digest == ask(sampler="euler", steps=4, guidance=2.0).plan.digest
    assert asked(5).plan.digest == ask(sampler="euler", steps=5, guidance=1.5).plan.digest


def test_spacing_options_are_part_of_the_recipe_and_resolution_is_filled_in(ask):
    rho = ask(sampler="euler", steps=6, spacing={"name": "Karras", "rho": 5})
    assert rho.recipe.spacing == {"name": "karras", "rho": 5}
    assert rho.plan.digest != ask(sampler="euler", steps=6, spacing="karras").plan.digest
    for size, tokens in ((64, 16), (512, 1024)):
        asked = ask(sampler="euler", steps=6, spacing="dynamic_shift", size=size)
        assert asked.recipe.spacing == {"name": "dynamic_shift", "tokens": tokens}
    again = from_dict(rho.recipe.to_dict())
    assert again.id == rho.recipe.id


def test_guidance_of_a_step_or_an_interval_costs_evaluations_only_where_it_works(ask):
    plain = {"sampler": "euler", "steps": 8, "spacing": "sgm_uniform"}
    assert ask(**plain, guidance=3.0).plan.evaluations == 16
    assert ask(**plain, guidance=[1, 1, 3, 3, 3, 1, 1, 1]).plan.evaluations == 11
    inside = ask(**plain, guidance=3.0, guidance_interval=[0.3, 2.0])  # t from 0.23 to 0.67
    assert inside.plan.guided.tolist() == [False, False, False, True, True, True, True, False]
    ratios = inside.plan.time / np.maximum(1 - inside.plan.time, 1e-9)
    np.testing.assert_array_equal(inside.plan.guided, (ratios >= 0.3) & (ratios <= 2.0))
    everything = ask(**plain, guidance=3.0, guidance_interval=[0.0, None])
    assert everything.plan.digest == ask(**plain, guidance=3.0).plan.digest
    assert ask(**plain, guidance=[3.0] * 8).plan.digest == everything.plan.digest


def test_the_stages_of_a_step_share_its_guidance_levels(ask):
    plan = ask(sampler="midpoint", steps=4, spacing="sgm_uniform", guidance=[1, 2, 1, 2]).plan
    assert plan.guided.tolist() == [False, False, True, True, False, False, True]  # the last step is Euler's


def test_full_variation_is_the_other_seeds_own_result_and_none_is_its_own(bench):
    for sampler in ("euler", "lcm"):
        one, other = (bench.run({**ASKED, "sampler": sampler, "steps": 4, "seed": seed}).latent for seed in (7, 9))
        turned = {s: bench.run({**ASKED, "sampler": sampler, "steps": 4, "variation_seed": 9, "variation_strength": s}) for s in (0.0, 0.01, 1.0)}  # fmt: skip
        np.testing.assert_array_equal(turned[0.0].latent, one)
        np.testing.assert_array_equal(turned[1.0].latent, other)
        near = np.abs(turned[0.01].latent - one).mean()
        assert 0 < near < 0.1 * np.abs(other - one).mean()


def test_a_field_between_two_seeds_has_unit_variance_and_a_seed_is_no_variation_of_itself(ask):
    for strength in (0.2, 0.5, 0.9):
        field = initial(ask(variation_seed=9, variation_strength=strength).recipe, (4, 64, 64))
        assert field.std() == pytest.approx(1.0, abs=0.02)
    same = ask(variation_seed=7, variation_strength=0.5).recipe
    np.testing.assert_array_equal(initial(same, (4, 8, 8)), initial(ask().recipe, (4, 8, 8)))


def test_travel_walks_from_seed_to_seed_in_small_steps(bench):
    requests = travel(ASKED, [1, 2, 3], 21)
    assert [requests[k]["seed"] for k in (0, 10, 20)] == [1, 2, 3]
    assert all("variation_seed" not in requests[k] for k in (0, 10, 20))
    latents = [bench.run({**each, "sampler": "euler", "steps": 2}).latent for each in requests]
    steps = [np.sqrt(np.mean((a - b) ** 2)) for a, b in zip(latents, latents[1:], strict=False)]
    assert max(steps) < 0.3 * np.sqrt(np.mean((latents[0] - latents[20]) ** 2))
    assert max(steps) < 1.5 * min(steps)
    for seeds, frames in (([1], 5), ([1, 2], 1)):
        with pytest.raises(Refusal):
            travel(ASKED, seeds, frames)


@pytest.mark.parametrize("noise", ["independent", "brownian"])
def test_a_window_is_a_part_of_the_seeds_plane(ask, noise):
    whole, part = ask(noise=noise, size=128, steps=4), ask(noise=noise, size=64, x=64, y=-64, steps=4)
    above = ask(noise=noise, size=128, y=-64, steps=4)
    np.testing.assert_array_equal(initial(part.recipe, (4, 8, 8)), initial(above.recipe, (4, 16, 16))[:, :8, 8:])
    np.testing.assert_array_equal(initial(whole.recipe, (4, 16, 16))[:, :8], initial(above.recipe, (4, 16, 16))[:, 8:])
    draws = [StepDraws(each.recipe, each.plan, (4, n, n))(1) for each, n in ((part, 8), (above, 16))]
    np.testing.assert_array_equal(draws[0], draws[1][:, :8, 8:])


def test_brownian_noise_of_more_steps_refines_the_same_path():
    shape = (4, 16, 16)
    (coarse,) = brownian(5, [(4.0, 1.0)], *shape)
    fine = brownian(5, [(4.0, 2.0), (2.0, 1.0)], *shape)
    u = [ratio / (1 + ratio) for ratio in (4.0, 2.0, 1.0)]
    lengths = np.sqrt([u[0] - u[1], u[1] - u[2]])
    joined = (lengths[0] * fine[0] + lengths[1] * fine[1]) / np.sqrt(u[0] - u[2])
    assert np.corrcoef(joined.ravel(), coarse.ravel())[0, 1] > 0.99
    assert abs(np.corrcoef(fine[0].ravel(), fine[1].ravel())[0, 1]) < 0.1


def test_brownian_noise_makes_a_stochastic_sampler_converge_with_the_step_count(bench):
    def run(noise, steps):
        return bench.run(
            {**ASKED, "sampler": "euler_ancestral", "spacing": "sgm_uniform", "steps": steps, "noise": noise}
        )

    brownian_apart = distance(run("brownian", 64), run("brownian", 128))
    independent_apart = distance(run("independent", 64), run("independent", 128))
    assert brownian_apart < 0.5 * independent_apart


IMAGE = {"prompt": "brick", "seed": 3, "sampler": "euler", "steps": 4}


def test_a_run_may_start_from_the_result_of_another_recipe(bench):
    image = bench.run({**ASKED, **IMAGE}).latent
    away = []
    for denoise in (0.125, 0.5, 0.875):
        run = bench.run(
            {**ASKED, "image": IMAGE, "denoise": denoise, "sampler": "euler", "spacing": "sgm_uniform", "steps": 8}
        )
        away.append(np.sqrt(np.mean((run.latent - image) ** 2)))
    assert 0 < away[0] < away[1] < away[2]


def test_a_run_from_an_image_takes_the_tables_times_for_images_and_other_runs_do_not(bundle):
    def spacing(image_times, **dials):
        tables = [Recommended(2, "lcm", [1.0, 0.1], image_times=image_times)]
        given = Bundle(bundle.folder, msgspec.structs.replace(bundle.manifest, recommended=tables), "2" * 64)
        recipe = resolve({**ASKED, **dials}, {given.digest: given}).recipe
        assert resolve(recipe.to_dict(), {given.digest: given}).recipe.id == recipe.id
        return recipe.spacing

    uneven, even = {"times": (1.0, 0.1)}, {"times": (1.0, 0.5)}
    from_image = {"image": {"prompt": "brick"}, "denoise": 0.5}
    assert spacing([1.0, 0.5]) == spacing(None) == spacing(None, **from_image) == uneven
    assert spacing([1.0, 0.5], **from_image) == even
    assert spacing([1.0, 0.5], **from_image, spacing={"times": [0.9, 0.2]}) == {"times": (0.9, 0.2)}


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m", "lcm", "heun"])
def test_outside_the_mask_the_image_comes_back_and_inside_it_is_new(bench, sampler):
    image = bench.run({**ASKED, **IMAGE}).latent
    run = bench.run({**ASKED, "image": IMAGE, "mask": [48, 16, 32, 24], "sampler": sampler, "steps": 4})
    inside = np.zeros((8, 8), bool)
    inside[2:5, [6, 7, 0, 1]] = True  # it wraps around the edge, as the texture does
    np.testing.assert_allclose(run.latent[:, ~inside], image[:, ~inside], atol=1e-5)
    assert np.abs(run.latent[:, inside] - image[:, inside]).min(axis=0).max() > 0.01


def test_the_engine_makes_an_image_first_and_replays_the_recipe_to_the_same_bytes(runtime):
    work = runtime.submit({**ASKED, "image": IMAGE, "denoise": 0.5, "steps": 4})
    texture = work.wait(20)
    assert runtime.submit(texture.recipe).wait(20).digest == texture.digest
    assert texture.digest != runtime.submit({**ASKED, "steps": 4}).wait(20).digest
    assert from_dict(texture.recipe).image == from_dict(runtime.submit({**ASKED, **IMAGE}).wait(20).recipe)


@pytest.mark.parametrize(
    ("field", "dials"),
    [
        ("guidance", {"guidance": [1.0, 2.0]}),
        ("guidance", {"guidance": float("nan")}),
        ("guidance_interval", {"guidance_interval": [2.0, 1.0]}),
        ("guidance_interval", {"guidance_interval": 2.0}),
        ("options.cfg_rescale", {"options": {"cfg_rescale": 0.7}}),
        ("options.dynamic_thresholding", {"options": {"dynamic_thresholding": 0.995}}),
        ("x", {"x": 3}),
        ("y", {"y": 1.5}),
        ("spacing", {"spacing": [float("inf"), 1.0, 0.0], "steps": 2}),
        ("spacing.rho", {"spacing": {"name": "karras", "rho": -1.0}}),
        ("image", {"denoise": 0.5}),
        ("image", {"mask": [0, 0, 8, 8]}),
        ("image", {"image": IMAGE}),
        ("image", {"image": {**IMAGE, "size": 128}, "denoise": 0.5}),
        ("image", {"image": "brick", "denoise": 0.5}),
        ("image.sampler", {"image": {**IMAGE, "sampler": "eulr"}, "denoise": 0.5}),
        ("mask", {"image": IMAGE, "mask": [0, 0, 8, 5]}),
        ("mask", {"image": IMAGE, "mask": [0, 0, 128, 8]}),
        ("mask", {"image": IMAGE, "mask": [0, 0, 8]}),
        ("denoise", {"image": IMAGE, "denoise": 0.0}),
    ],
)
def test_a_wrong_dial_is_refused_by_its_name(ask, field, dials):
    with pytest.raises(Refusal) as refused:
        ask(**{"sampler": "euler", "steps": 4, **dials})
    assert refused.value.field == field


def test_images_of_images_end_somewhere(ask):
    image = IMAGE
    for _ in range(6):
        image = {**IMAGE, "image": image, "denoise": 0.5}
    with pytest.raises(Refusal, match="deep"):
        ask(image=image, denoise=0.5)


def test_each_restart_has_a_noise_of_its_own_where_the_path_is_brownian(ask):
    asked = ask(sampler="restart", spacing="karras", steps=8, noise="brownian", options={"restarts": 2})
    draws = StepDraws(asked.recipe, asked.plan, (4, 16, 16))
    first, second = draws(0).ravel(), draws(1).ravel()
    assert np.array_equal(*asked.plan.intervals[:2])
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1


@pytest.mark.parametrize(
    "dials", [{}, {"variation_seed": 3, "variation_strength": 0.4}, {"noise": "brownian"}, {"x": -64}]
)
def test_draws_made_ahead_are_those_made_when_they_are_wanted(ask, dials, elsewhere, monkeypatch):
    asked = ask(sampler="euler_ancestral", steps=8, **dials)
    assert asked.plan.noise_draws == 7
    whole = StepDraws(asked.recipe, asked.plan, (4, 16, 16))
    expected = [whole(k) for k in range(7)]
    monkeypatch.setattr("cadenza.runtime.draws.BLOCK_NUMBERS", 3 * 4 * 16 * 16)
    ahead = StepDraws(asked.recipe, asked.plan, (4, 16, 16), elsewhere)
    np.testing.assert_array_equal(ahead.initial(), initial(asked.recipe, (4, 16, 16)))
    for k in (0, 1, 2, 3, 4, 5, 6, 1, 6):  # in order, and back
        ahead.prepare()
        np.testing.assert_array_equal(ahead(k), expected[k])


@pytest.mark.parametrize("dials", [{"sampler": "euler"}, {"sampler": "euler_ancestral"}, {"variation_strength": 0.4}])
@pytest.mark.parametrize("before", [(), ("prepare",), ("prepare", "grain")])
def test_the_grain_drawn_with_the_steps_is_the_grain_drawn_alone(ask, dials, before, elsewhere):
    asked = ask(steps=4, **dials)
    expected = grain(asked.recipe, (2, 64, 64), (16, 16))
    draws = StepDraws(asked.recipe, asked.plan, (4, 16, 16), elsewhere, (2, 64, 64))
    for name in before:
        getattr(draws, name)()
    np.testing.assert_array_equal(draws.grain(), expected)
    assert StepDraws(asked.recipe, asked.plan, (4, 16, 16), elsewhere).grain() is None


@pytest.mark.parametrize("name", ["steps", "sampler", "spacing", "process", "prediction", "guidance", "denoise"])
def test_fields_of_a_recipe_are_no_options_of_a_sampler(ask, name):
    with pytest.raises(Refusal, match=rf"options\.{name}: is no option of a sampler; give it as a field"):
        ask(options={name: 1})


def test_two_etas_are_refused_and_one_said_twice_is_one(ask):
    with pytest.raises(Refusal, match=r"options\.eta"):
        ask(sampler="euler_ancestral", options={"eta": 0.5}, eta=1.0)
    assert ask(sampler="euler_ancestral", options={"eta": 0.5}, eta=0.5).recipe.eta == 0.5


def test_an_interval_without_an_end_is_one_however_it_is_written(ask):
    ends = [ask(guidance=3.0, guidance_interval=(0.3, end)).recipe for end in (None, float("inf"))]
    assert ends[0].id == ends[1].id
    with pytest.raises(Refusal, match="guidance_interval"):
        ask(guidance=3.0, guidance_interval=(float("nan"), 5.0))


@pytest.mark.parametrize("name", [5, ["karras"], None])
def test_the_name_of_a_spacing_is_text(ask, name):
    with pytest.raises(Refusal, match=r"spacing"):
        ask(spacing={"name": name})


def test_a_distilled_network_keeps_its_eta_at_any_step_count(bundle):
    tables = [Recommended(steps=n, sampler="tcd", times=[1.0 - k / n for k in range(n)], eta=0.0) for n in (2, 4)]
    manifest = msgspec.structs.replace(bundle.manifest, recommended=tables)
    pcm = Bundle(bundle.folder, manifest, bundle.digest)
    etas = [resolve({**ASKED, "steps": steps}, {pcm.digest: pcm}).recipe.eta for steps in (2, 3, 4, 6)]
    assert etas == [0.0] * 4
    recorded = resolve({**ASKED, "steps": 6, "eta": None}, {pcm.digest: pcm}).recipe  # as before the family's was kept
    assert recorded.eta is None
    assert resolve(recorded.to_dict(), {pcm.digest: pcm}).recipe.id == recorded.id
    assert resolve({**ASKED, "steps": 6, "sampler": "euler_ancestral"}, {pcm.digest: pcm}).recipe.eta is None
